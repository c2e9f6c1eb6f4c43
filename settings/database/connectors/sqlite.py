"""SQLite by the standard library: WAL, foreign keys, a busy time-out, and transactions that are really ours."""

import logging
import sqlite3
from math import inf
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import OperationalError

from settings.database.config import DatabaseConfig
from settings.database.connectors.manners import with_manners
from settings.database.connectors.place import prepare_place
from settings.database.connectors.turns import SharedConnection
from settings.database.connectors.watched_sqlite import OwnConnection, factory, refusal
from settings.database.deadline import Watchdog
from settings.database.model import DatabaseSettings

log = logging.getLogger(__name__)
BUSY_SECONDS = 5.0
MOST_BYTES_CHECKED = 100 * 2**20
"""Up to here a check of the whole file is a matter of a second."""


class SQLiteConnector:
    """Makes engines for SQLite.

    A transaction begins with plain BEGIN, so that readers and one writer go on side by side. One that reads first and
    writes later can meet SQLITE_BUSY_SNAPSHOT, at once and whatever the busy time-out, when another has written in
    between: it has to be run again, or to begin with `execution_options(sqlite_begin="IMMEDIATE")`. IMMEDIATE for all
    (`?isolation_level=IMMEDIATE`) would make every reader wait for every writer.

    Args:
        settings: Pool and time-outs.
        watchdog: Ends what outlives DATABASE_TIMEOUT; one of the connector's own when None.
    """

    def __init__(self, settings: DatabaseSettings, *, watchdog: Watchdog | None = None) -> None:
        self._settings = settings
        self._watchdog = watchdog or Watchdog(settings.timeout)

    def url(self, config: DatabaseConfig) -> URL:
        """Return SQLAlchemy's URL of the parts."""
        return URL.create("sqlite+pysqlite", database=config.database, query=config.query())

    def options(self, config: DatabaseConfig) -> dict[str, Any]:
        """Return the keyword arguments of `create_engine`; options of the URL win over ours."""
        options = {
            "hide_parameters": True,
            "echo": self._settings.echo,
            "connect_args": self._connect_arguments(config),
            **(self._of_memory() if config.is_memory else self._of_a_file()),
        }
        mode = config.options.get("isolation_level", "DEFERRED").upper()
        return with_manners(options, _Transactions(mode).adorn)

    def engine(self, config: DatabaseConfig) -> Engine:
        """Return an engine that has not connected yet; a missing folder of the file is made.

        Raises:
            BootstrapError: When no database can be there.
        """
        if config.file is not None and config.options.get("mode", "rwc") == "rwc":
            prepare_place(config.file)
        return create_engine(self.url(config), **self.options(config))

    def _connect_arguments(self, config: DatabaseConfig) -> dict[str, Any]:
        kind = SharedConnection if config.is_memory else OwnConnection
        ours: dict[str, Any] = {
            "timeout": min(BUSY_SECONDS, self._settings.timeout or inf),
            "check_same_thread": False,
        }
        arguments = {name: value for name, value in ours.items() if name not in config.options}
        return {**arguments, "factory": factory(kind, self._watchdog), "isolation_level": None}

    def _of_memory(self) -> dict[str, Any]:
        # What a connection leaves open is another's: the reset of the pool would roll that back.
        return {"poolclass": StaticPool, "pool_reset_on_return": None}

    def _of_a_file(self) -> dict[str, Any]:
        return {
            "pool_size": self._settings.pool_size,
            "max_overflow": self._settings.max_overflow,
            "pool_timeout": self._settings.pool_timeout,
            "pool_use_lifo": True,
        }


class _Transactions:
    """BEGIN as ours: pysqlite's own leaves DDL and reads outside of transactions."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._looked = False

    def adorn(self, engine: Engine) -> None:
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", _end)
        event.listen(engine, "rollback", _end)
        event.listen(engine, "handle_error", _look_whether_it_is_over)

    def _begin(self, connection: Connection) -> None:
        options, driver = connection.get_execution_options(), _driver(connection)
        if not isinstance(driver, SharedConnection):
            driver.begin_anew()  # a commit that failed leaves nothing for a rollback to do
        if options.get("isolation_level") == "AUTOCOMMIT":
            return
        mode = str(options.get("sqlite_begin", self._mode))
        if isinstance(driver, SharedConnection):
            _take_turn(connection, driver, mode)
        else:
            connection.exec_driver_sql(f"BEGIN {mode}")

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        # SQLite ignores foreign keys unless each connection asks (sqlite.org/foreignkeys.html).
        connection.execute("PRAGMA foreign_keys = ON")
        if not self._looked:
            _use_wal(connection)
            self._looked = True
        # With a rollback journal NORMAL may damage the file when the power fails (sqlite.org/pragma.html).
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            connection.execute("PRAGMA synchronous = NORMAL")


def _driver(connection: Connection) -> OwnConnection:
    return cast("OwnConnection", connection.connection.driver_connection)


def _look_whether_it_is_over(context: ExceptionContext) -> None:
    """Refuse the rest of a transaction that SQLite has ended by itself: it would be committed bit by bit."""
    connection = context.connection
    if connection is None or context.is_disconnect or not connection.in_transaction():
        return
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        _driver(connection).give_up()


def _take_turn(connection: Connection, driver: SharedConnection, mode: str) -> None:
    try:
        statement = driver.begin(connection, mode)
    except sqlite3.OperationalError as error:
        raise OperationalError(f"BEGIN {mode}", None, error) from error
    connection.exec_driver_sql(statement)


def _end(connection: Connection) -> None:
    driver = _driver(connection)
    if isinstance(driver, SharedConnection):
        driver.ends(connection)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn the file to WAL, which stays with the file, once it is known to be sound: a damaged one is not touched."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] in {"wal", "memory"}:
        return
    if _bytes_of(connection) > MOST_BYTES_CHECKED:
        log.warning(
            "The SQLite file keeps its journal mode: it is too large to be checked at each boot, and is not turned to "
            "WAL unchecked. Fix, once: sqlite3 FILE 'PRAGMA quick_check; PRAGMA journal_mode = WAL'."
        )
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise refusal(f"database disk image is malformed: {verdict}", "SQLITE_CORRUPT")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # Not on a read-only file, and not while another has the file for itself. Work goes on in the mode it has.
        if not str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_READONLY", "SQLITE_BUSY")):
            raise
        log.warning("The SQLite file could not be turned to WAL and keeps its journal mode: %s", error)


def _bytes_of(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages) * int(size)
