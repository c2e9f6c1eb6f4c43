"""What PostgreSQL says of a statement that fails, with cause and fix."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from settings.database.diagnosis_connecting import CONNECTING
from settings.problems import Diagnosis


def _state(code: str, cause: str, fix: str, *, transient: bool = False) -> Diagnosis:
    return Diagnosis(f"database-{code}", cause, fix, transient)


_SEEN = {found.code: found for _, found in CONNECTING}

# SQLSTATE, whole or its class of two (postgresql.org/docs/18/errcodes-appendix.html).
STATES: Mapping[str, Diagnosis] = {
    "08": _SEEN["database-connection-lost"],
    "57P01": _SEEN["database-connection-lost"],
    "57P02": _SEEN["database-connection-lost"],
    "57P03": _SEEN["database-starting-up"],
    "57P05": _SEEN["database-connection-lost"],
    "25P03": _SEEN["database-connection-lost"],
    "28P01": _SEEN["database-authentication"],
    "28000": _SEEN["database-not-allowed"],
    "3D000": _SEEN["database-unknown"],
    "53300": _SEEN["database-too-many-connections"],
    "25006": _state(
        "read-only",
        "the server, or the transaction, is read-only",
        "name the primary, or turn default_transaction_read_only off",
    ),
    "53100": _state("disk-full", "the server's disk is full", "free space on the server; reading goes on"),
    "53200": _state(
        "out-of-memory", "the server is out of memory", "lower work_mem or the load, or give it memory", transient=True
    ),
    "53": _state("resources", "the server is out of a resource", "look at the server's log", transient=True),
    "57014": _state(
        "statement-cancelled",
        "the statement was cancelled, by statement_timeout or by a person",
        "make it faster, or raise DATABASE_STATEMENT_TIMEOUT",
    ),
    "55P03": _state(
        "lock-timeout", "a lock was not to be had in time", "find who holds it in pg_locks, and retry", transient=True
    ),
    "40001": _state(
        "serialization", "two transactions got in each other's way", "retry the whole transaction", transient=True
    ),
    "40P01": _state(
        "deadlock", "two transactions waited for each other", "retry the whole transaction", transient=True
    ),
    "25P02": _state(
        "transaction-aborted",
        "an earlier statement of this transaction failed",
        "roll back, and look at the first error",
    ),
    "42501": _state("permission-denied", "this role may not do that", "GRANT it the right, or use another role"),
    "42P01": _state("table-missing", "a table is missing", "flask bootstrap migrate, or look at search_path"),
    "42703": _state("column-missing", "a column is missing", "flask bootstrap migrate"),
    "3F000": _state("schema-missing", "a schema is missing", "CREATE SCHEMA …, or correct its name"),
    "42P07": _state(
        "table-exists", "the table exists already", "find out who made it; another process may have been first"
    ),
    "42": _state("statement-invalid", "the server does not take this statement", "correct it"),
    "23": _state("constraint", "the data break a constraint", "correct the data"),
    "58": _state("server-io", "the server's system failed to read or write", "look at the server's log and its disk"),
    "XX": _state(
        "server-internal", "the server met an internal error", "look at the server's log; data may be damaged"
    ),
}


def by_state(sqlstate: str | None) -> Diagnosis | None:
    """Return what a SQLSTATE says, by its five characters or else by its class."""
    return None if sqlstate is None else STATES.get(sqlstate) or STATES.get(sqlstate[:2])


def by_words(sqlstate: str | None, words: str) -> Diagnosis | None:
    """Return what a SQLSTATE says, with the server's words where it refuses a statement: they name what it is about."""
    found = by_state(sqlstate)
    if found is None or not words or not (sqlstate or "").startswith("42"):
        return found
    return replace(found, cause=f"{found.cause}: {words}")


def rows() -> Iterator[Diagnosis]:
    """Yield every diagnosis of this table."""
    yield from (found for _, found in CONNECTING)
    yield from STATES.values()
