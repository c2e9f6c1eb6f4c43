"""How our own tables are written: one statement in a transaction of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


def single_statement(engine: Engine) -> Engine:
    """Return the engine for transactions of one writing statement, which wait for each other and do not fail for it.

    READ COMMITTED, whatever the server's default is: who waited for another's row must see it. On SQLite the write
    lock comes first, since a transaction that has read cannot wait for it.
    """
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="READ COMMITTED")
    return engine.execution_options(sqlite_begin="IMMEDIATE")


@contextmanager
def impatient(connection: Connection, seconds: float) -> Iterator[None]:
    """Let a connection wait no longer than `seconds` for another's lock on SQLite: no deadline ends that wait."""
    driver = connection.connection.driver_connection
    if driver is None or connection.dialect.name != "sqlite":
        yield
        return
    (usual,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {min(usual, round(seconds * 1000))}")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {usual}")
