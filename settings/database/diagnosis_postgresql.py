"""What PostgreSQL, libpq and psycopg2 say when they fail, with cause and fix."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from settings.problems import Diagnosis

Row = tuple[str, Diagnosis]
_RAISE_WAIT = "start it, or raise DATABASE_WAIT if it needs longer to come up"


def _row(text: str, code: str, cause: str, fix: str, *, transient: bool = False) -> Row:
    return text, Diagnosis(f"database-{code}", cause, fix, transient)


# A failed connect has no SQLSTATE, in libpq's text only: so English words decide, the most particular first, because
# the text of several addresses or hosts holds a line for each. A word in <> is taken from the text.
CONNECTING: tuple[Row, ...] = (
    _row(
        r"password authentication failed for user \"(?P<user>[^\"]*)\"",
        "authentication",
        'the server refuses user "<user>": the password is wrong, or there is no such role',
        "correct user and password, and percent-encode special characters of the password",
    ),
    _row(
        r"(peer|ident|certificate|gssapi|ldap|pam|radius|cert) authentication failed|authentication failed for user",
        "authentication-method",
        "the server refuses this user by the method that pg_hba.conf demands",
        "connect as a user that this method lets in, or change pg_hba.conf",
    ),
    _row(
        r"no password supplied",
        "password-missing",
        "the server asks for a password and none is given",
        "write user:password@ before the host",
    ),
    _row(
        r"role \"(?P<role>[^\"]*)\" does not exist",
        "role-unknown",
        'the role "<role>" does not exist',
        "CREATE ROLE … LOGIN, or correct the user",
    ),
    _row(
        r"role \"(?P<role>[^\"]*)\" is not permitted to log in",
        "role-no-login",
        'the role "<role>" may not log in',
        "ALTER ROLE … LOGIN, or use another user",
    ),
    _row(
        r"database \"(?P<name>[^\"]*)\" does not exist",
        "unknown",
        'the server has no database "<name>"',
        "CREATE DATABASE …, or correct the name behind the host",
    ),
    _row(
        r"permission denied for database",
        "no-connect-right",
        "this role may not connect to this database",
        "GRANT CONNECT ON DATABASE … TO the role",
    ),
    _row(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "not-allowed",
        "pg_hba.conf lets this host, user and database not in, or only with TLS",
        "add a line for them to pg_hba.conf, or add ?sslmode=require where it asks for TLS",
    ),
    _row(
        r"does not support SSL|server refuses SSL",
        "no-tls",
        "the server does not speak TLS, and sslmode asks for it",
        "turn TLS on at the server, or change sslmode",
    ),
    _row(
        r"root certificate file|certificate verify failed|server certificate|could not (read|load|open) certificate"
        r"|certificate file|private key file|SSL error|sslv3 alert|tlsv1 alert|SSL SYSCALL error: EOF",
        "tls",
        "TLS with the server could not be agreed upon, or its certificate not be verified",
        "look at sslmode, sslrootcert, sslcert and sslkey, and at the name in the server's certificate",
    ),
    _row(
        r"invalid connection option|invalid dsn",
        "option-unknown",
        "the URL has an option that libpq does not know",
        "remove it from behind the question mark",
    ),
    _row(
        r"invalid \S* ?value:|invalid integer value|invalid \"\S+\" value|invalid port number|invalid uri"
        r"|could not parse network address|definition of service .* not found|could not match \d+ ",
        "option-invalid",
        "an option of the URL has a value that libpq does not take",
        "correct the options behind the question mark",
    ),
    _row(
        r"unrecognized configuration parameter|invalid value for parameter|parameter .* cannot be (set|changed)",
        "parameter-invalid",
        "the server does not take a parameter that options= sets",
        "correct options=-c name=value",
    ),
    _row(
        r"is starting up",
        "starting-up",
        "the server is starting up",
        "wait, or raise DATABASE_WAIT",
        transient=True,
    ),
    _row(
        r"in recovery mode|not yet accepting connections|consistent recovery state",
        "recovering",
        "the server recovers from a crash",
        "wait, or raise DATABASE_WAIT",
        transient=True,
    ),
    _row(
        r"is shutting down",
        "shutting-down",
        "the server is shutting down",
        "start it again when it is down",
        transient=True,
    ),
    _row(
        r"hot standby mode is disabled|system is not accepting connections",
        "standby-closed",
        "this server is a standby that takes no connections",
        "name the primary, or turn hot_standby on",
    ),
    _row(
        r"is not currently accepting connections",
        "closed",
        "this database takes no connections",
        "ALTER DATABASE … ALLOW_CONNECTIONS true",
    ),
    _row(
        r"too many connections for|too many clients|remaining connection slots|no more connections allowed"
        r"|max_client_conn|query_wait_timeout",
        "too-many-connections",
        "the server, the database or the role has no connection left",
        "lower DATABASE_POOL_SIZE or the number of processes, or raise max_connections",
        transient=True,
    ),
    _row(
        r"session is read-only|session is not read-only|server is (not )?in hot standby",
        "wrong-role-of-server",
        "no server of the URL has the role that target_session_attrs asks for",
        "name the primary, or wait until one is promoted",
        transient=True,
    ),
    _row(
        r"received invalid response|expected authentication request|unsupported frontend protocol",
        "not-postgresql",
        "what listens there does not speak PostgreSQL's protocol",
        "correct host and port",
    ),
    _row(
        r"could not translate host name",
        "host-unknown",
        "the host name cannot be resolved",
        "correct the host, and percent-encode an @ of the password; or look at DNS",
        transient=True,
    ),
    _row(
        r"on socket .* failed: (No such file or directory|Connection refused)",
        "socket-missing",
        "no server listens on that socket",
        "start the server, or correct the folder of its socket and the port",
        transient=True,
    ),
    _row(
        r"connection refused",
        "refused",
        "nothing listens on that host and port",
        _RAISE_WAIT,
        transient=True,
    ),
    _row(
        r"timeout expired|connection timed out|operation timed out",
        "timeout",
        "the server did not answer within the connect time-out",
        "look at the host, its firewall and its load, or raise DATABASE_CONNECT_TIMEOUT",
        transient=True,
    ),
    _row(
        r"no route to host|network is unreachable|host is down",
        "unreachable",
        "there is no route to that host",
        "look at the network, or correct the host",
        transient=True,
    ),
    _row(
        r"permission denied",
        "socket-denied",
        "this user may not use the server's socket",
        "change the rights of its folder, or connect by TCP",
    ),
    _row(
        r"closed the connection|connection reset|terminating connection|connection already closed|broken pipe"
        r"|could not (receive|send) data|connection not open|lost synchronization|PGRES_TUPLES_OK and no message"
        r"|connection has been closed|connection pointer is NULL",
        "connection-lost",
        "the server, or something between, closed the connection",
        "look at the server's log: it was restarted or killed, or a time-out ended an idle connection",
        transient=True,
    ),
)


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


def by_text(text: str) -> Diagnosis | None:
    """Return what the words of libpq or the server say; the names in them are filled in."""
    for pattern, found in CONNECTING:
        match = re.search(pattern, text, re.IGNORECASE)  # compiled only when there is a fault: each boot would pay
        if match is not None:
            cause = found.cause
            for name, value in match.groupdict().items():
                cause = cause.replace(f"<{name}>", value)
            return replace(found, cause=cause)
    return None


def rows() -> Iterator[Diagnosis]:
    """Yield every diagnosis of this table."""
    yield from (found for _, found in CONNECTING)
    yield from STATES.values()
