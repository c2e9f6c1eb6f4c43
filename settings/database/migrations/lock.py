"""One migration at a time: a lock that lives in the migration's own transaction and dies with its holder."""

import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from settings.backoff import Deadline, backoff_seconds
from settings.problems import BootstrapError, Diagnosis

LOCK_KEY = 0x12FAC7012FAC701
"""Any 64-bit number that nothing else uses; PostgreSQL's advisory locks are numbers."""
HELD = "migration-locked"
_HOLDER = """
SELECT a.pid, concat_ws(', ', coalesce(nullif(a.application_name, ''), 'no name'),
CASE WHEN a.backend_start IS NOT NULL THEN 'from ' || coalesce(host(a.client_addr), 'a local socket') END,
'since ' || to_char(a.xact_start, 'HH24:MI:SS'))
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
AND (l.classid::bigint << 32) | l.objid::bigint = %(key)s AND l.database = a.datid AND a.datname = current_database()
"""
"""Says less where times are NULL: of another role's backends, and of a transaction that ends at this moment."""

_HELD_BY_US = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND (classid::bigint << 32) | objid::bigint = %(key)s AND pid = pg_backend_pid())
"""


@contextmanager
def migration_transaction(engine: Engine, wait_seconds: float) -> Iterator[Connection]:
    """Open the transaction in which alone the schema changes; everything in it happens or nothing.

    PostgreSQL: a transaction-level advisory lock, which a transaction pooler cannot separate from its work.
    SQLite: BEGIN IMMEDIATE, which makes DDL atomic too. Its foreign keys are off meanwhile: it alters a table by making
    a copy and dropping the old one, which would delete the rows that refer to it (sqlite.org/lang_altertable.html).
    Each attempt is a transaction of its own, so that neither DATABASE_STATEMENT_TIMEOUT nor DATABASE_TIMEOUT ends the
    wait, and what is read afterwards is what there is.

    Raises:
        BootstrapError: Another process holds the lock for longer than `wait_seconds`; it says which.
    """
    deadline, holder = Deadline(wait_seconds), "another process"
    pauses = backoff_seconds(first=0.02, cap=0.25, jitter=lambda: random.uniform(0.5, 1.0))  # noqa: S311 - no secret
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection, _prepared(connection):
        while not _begin(connection, deadline):
            holder = _holder(connection) or holder
            connection.rollback()
            pause = next(pauses)
            if not deadline.allows(pause):
                raise BootstrapError("DATABASE_MIGRATE_WAIT", "", _held(holder, wait_seconds))
            time.sleep(pause)
        with _unhurried(connection):
            yield connection
            connection.commit()


def holds_lock(connection: Connection) -> bool:
    """Say whether the transaction that took the lock goes on: both end together."""
    if connection.dialect.name == "sqlite":
        return bool(getattr(connection.connection.driver_connection, "in_transaction", False))
    return bool(connection.exec_driver_sql(_HELD_BY_US, {"key": LOCK_KEY}).scalar())


def _unhurried(connection: Connection) -> AbstractContextManager[None]:
    """Lift DATABASE_TIMEOUT: an index of a large table takes the time that it takes; the wait for the lock keeps it."""
    watchdog = getattr(connection.connection.driver_connection, "watchdog", None)
    return nullcontext() if watchdog is None else watchdog.unhurried()


def _begin(connection: Connection, deadline: Deadline) -> bool:
    """Begin a transaction that holds the lock; False when another has it."""
    if connection.dialect.name == "sqlite":
        return _begin_immediate(connection)
    # A default of REPEATABLE READ would show the schema as it was before the lock was held.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    # Tables that are in use are waited for no longer than a process that migrates.
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, int(deadline.left() * 1000))}")
    statement = "SELECT pg_try_advisory_xact_lock(%(key)s)"
    return bool(connection.exec_driver_sql(statement, {"key": LOCK_KEY}).scalar())


def _begin_immediate(connection: Connection) -> bool:
    # Each time, since it has no effect while a transaction is open, and a memory database has one connection for all.
    _execute(connection, "PRAGMA foreign_keys = OFF")
    try:
        connection.begin()
    except OperationalError as error:
        if not str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY"):
            raise
        return False
    return not connection.exec_driver_sql("PRAGMA foreign_keys").scalar()


@contextmanager
def _prepared(connection: Connection) -> Iterator[None]:
    """Have SQLite say at once that the file is locked, the waiting being ours; put back what a migration changes."""
    if connection.dialect.name != "sqlite":
        yield
        return
    names = ("busy_timeout", "foreign_keys", "legacy_alter_table")
    earlier = {name: _execute(connection, f"PRAGMA {name}") for name in names}
    _execute(connection, "PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.rollback()
        for name, value in earlier.items():
            _execute(connection, f"PRAGMA {name} = {value}")


def _execute(connection: Connection, pragma: str) -> object:
    """Run a pragma outside of SQLAlchemy, which would begin a transaction for it; return its value."""
    with closing(connection.connection.cursor()) as cursor:
        row = cursor.execute(pragma).fetchone()
    return row and row[0]


def _held(holder: str, wait_seconds: float) -> Diagnosis:
    cause = f"{holder} has held the migration lock for longer than DATABASE_MIGRATE_WAIT ({wait_seconds:g} s)"
    return Diagnosis(HELD, cause, "let it finish or end it, or raise DATABASE_MIGRATE_WAIT", transient=True)


def _holder(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return _holder_of_file(connection.engine.url.database or "")
    try:
        row = connection.exec_driver_sql(_HOLDER, {"key": LOCK_KEY}).first()
    except ProgrammingError:
        return "a process that this role may not see"
    if row is None:
        return ""
    pid, told = row
    return f"backend {pid} ({told})"


def _holder_of_file(database: str) -> str:
    """Return who has a lock on a SQLite file, from Linux' list of locks; empty where there is none."""
    try:
        files = [Path(f"{database}{suffix}") for suffix in ("", "-shm")]
        numbers = {f":{file.stat().st_ino}" for file in files if file.exists()}
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return ""
    found = {lock[-4] for lock in locks if "WRITE" in lock and any(lock[-3].endswith(each) for each in numbers)}
    return f"process {', '.join(sorted(found))}" if found else ""
