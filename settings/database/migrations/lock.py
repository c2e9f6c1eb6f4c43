"""One migration at a time: a lock that lives in the migration's own transaction and dies with its holder."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

LOCK_KEY = 0x12FAC7012FAC701
"""Any 64-bit number that nothing else uses; PostgreSQL's advisory locks are numbers."""


@contextmanager
def migration_transaction(engine: Engine, wait_seconds: float) -> Iterator[Connection]:
    """Open the transaction in which alone the schema changes; everything in it happens or nothing.

    PostgreSQL: a transaction-level advisory lock, which a transaction pooler cannot separate from its work.
    SQLite: BEGIN IMMEDIATE, which makes DDL atomic too.

    Raises:
        OperationalError: When another process holds the lock for longer than `wait_seconds`.
    """
    milliseconds = max(1, int(wait_seconds * 1000))
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
        if engine.dialect.name == "sqlite":
            with _busy_timeout(connection, milliseconds), connection.begin():
                yield connection
            return
        with connection.begin():
            connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            yield connection


@contextmanager
def _busy_timeout(connection: Connection, milliseconds: int) -> Iterator[None]:
    """Wait longer than an application's statement does; set on the driver's connection, before BEGIN."""
    driver = connection.connection.cursor()
    earlier = driver.execute("PRAGMA busy_timeout").fetchone()[0]
    driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {earlier}")
        driver.close()
