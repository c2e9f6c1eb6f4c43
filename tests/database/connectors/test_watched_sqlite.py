"""sqlite3's connection as ours: interrupted at a deadline, no transaction of its own, of no use in a child."""

import os
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from settings.database.connectors.watched_sqlite import OwnConnection, factory
from settings.database.deadline import Watchdog

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT {0} FROM n"


def _connect(path: object, watchdog: Watchdog | None = None) -> OwnConnection:
    return factory(OwnConnection, watchdog or Watchdog())(str(path), isolation_level=None)


@pytest.mark.parametrize(("what", "fetch"), [("max(x)", "fetchone"), ("x", "fetchall")])
def test_statement_is_interrupted_at_the_deadline(what: str, fetch: str) -> None:
    """SQLite works while it executes and while it fetches: both end."""
    with closing(_connect(":memory:", Watchdog(0.1))) as connection:
        cursor, begin = connection.cursor(), time.monotonic()
        with pytest.raises(sqlite3.OperationalError) as caught:
            getattr(cursor.execute(ENDLESS.format(what) + " LIMIT 1000000000"), fetch)()
        assert time.monotonic() - begin < 10
        assert caught.value.sqlite_errorname == "SQLITE_INTERRUPT"
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_isolation_level_stays_none(tmp_path: Path) -> None:
    """Who sets it, as SQLAlchemy does after AUTOCOMMIT, does not bring implicit transactions back."""
    with closing(_connect(tmp_path / "a.db")) as connection:
        connection.isolation_level = ""
        connection.execute("CREATE TABLE t (id INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
        assert connection.isolation_level is None
        assert not connection.in_transaction


def test_child_of_a_fork_can_neither_use_nor_end_the_connection(tmp_path: Path) -> None:
    """A transaction that is open at the fork is committed by the parent, whatever the child tries."""
    with closing(_connect(tmp_path / "a.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (id INTEGER)")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
        rows = connection.cursor()
        rows.execute("SELECT id FROM t")
        child = os.fork()
        if child == 0:
            connection.rollback()
            connection.close()
            refused = 0
            speak = (connection.execute, connection.executemany, connection.executescript, rows.execute)
            for attempt in (connection.cursor, rows.fetchone, *(partial(each, "SELECT 1") for each in speak)):
                try:
                    attempt()
                except sqlite3.OperationalError as error:
                    refused += error.sqlite_errorname == "SQLITE_MISUSE"
            os._exit(0 if refused == 6 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        connection.commit()
        assert connection.execute("SELECT id FROM t").fetchall() == [(1,)]
