"""Asking a database whether it is there, as cheaply as it can be asked."""

import os
import time
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool, StaticPool

from settings.database.diagnosis import FILE_GONE
from settings.problems import BootstrapError

POLL_SECONDS = 0.02


def ask(engine: Engine, *, places: int, timeout: float | None) -> None:
    """Make the database answer once, or raise what its driver raises.

    Args:
        engine: What to ask.
        places: Connections that its pool gives out at once.
        timeout: Most seconds to wait while all of them are in use; None: DATABASE_POOL_TIMEOUT.

    Raises:
        BootstrapError: When the file of a SQLite database is gone.
    """
    if isinstance(engine.pool, StaticPool):
        driver_connection(engine).execute("SELECT 1")
        return
    if timeout is not None and isinstance(engine.pool, QueuePool):
        _wait_for_a_place(engine.pool, places, time.monotonic() + timeout)
    # A checkout asks by itself: by the pre-ping of an old connection, or by making a new one.
    connection = engine.raw_connection()
    try:
        if engine.dialect.name == "sqlite":
            _ask_sqlite(connection)
    finally:
        connection.close()


def driver_connection(engine: Engine) -> Any:  # noqa: ANN401 - each driver's own class
    """Return the one connection of a memory database, without a checkout that would roll back what is open on it."""
    connection = engine.raw_connection()
    try:
        return connection.driver_connection
    finally:
        connection.close()


def _wait_for_a_place(pool: QueuePool, places: int, until: float) -> None:
    while pool.checkedout() >= places:
        if time.monotonic() >= until:
            raise PoolTimeoutError("every connection of the pool stayed in use")
        time.sleep(POLL_SECONDS)


def _ask_sqlite(connection: Any) -> None:  # noqa: ANN401 - the pool's proxy of sqlite3's connection
    cursor = connection.cursor()
    path = next(row[2] for row in cursor.execute("PRAGMA database_list").fetchall() if row[1] == "main")
    if path and not os.path.exists(path):  # noqa: PTH110 - a third of the price of a Path, at each health check
        raise BootstrapError("DATABASE_URL", "", FILE_GONE)
    # SELECT 1 would not look at the file.
    cursor.execute("PRAGMA schema_version").fetchall()
