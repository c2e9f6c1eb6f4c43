"""A transaction that SQLite has rolled back by itself, after some errors, takes nothing more until its rollback."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from settings.database import DatabaseURLParser
from settings.database.connectors import SQLiteConnector
from settings.database.model import DatabaseSettings


@pytest.fixture(params=["file", "memory"])
def unique(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine with one place in the pool, on a table of numbers that are there once, with 7 among them."""
    url = f"sqlite:///{tmp_path}/app.db" if request.param == "file" else "sqlite://"
    settings = DatabaseSettings(pool_size=1, max_overflow=0)
    engine = SQLiteConnector(settings).engine(DatabaseURLParser.parse_url(url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES (7)"))
    yield engine
    engine.dispose()


def _numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted(connection.execute(text("SELECT id FROM t")).scalars())


def _insert(connection: Connection, number: int, how: str = "") -> None:
    connection.execute(text(f"INSERT {how} INTO t VALUES (:id)"), {"id": number})


def _end_by_sqlite(connection: Connection) -> None:
    with pytest.raises(IntegrityError):
        _insert(connection, 7, "OR ROLLBACK")


def _refused(work: Callable[[], object]) -> bool:
    with pytest.raises(OperationalError, match="Fix: roll back") as caught:
        work()
    assert isinstance(caught.value.orig, sqlite3.OperationalError)
    return caught.value.orig.sqlite_errorname == "SQLITE_ABORT_ROLLBACK"


def test_transaction_that_sqlite_ended_takes_nothing_more(unique: Engine) -> None:
    """What comes after would be committed statement by statement: it is refused until the rollback."""
    with unique.connect() as connection:
        _insert(connection, 1)
        _end_by_sqlite(connection)
        assert _refused(lambda: _insert(connection, 2))
        connection.rollback()
        _insert(connection, 3)
        connection.commit()
    assert _numbers(unique) == [3, 7]


def test_commit_of_a_transaction_that_sqlite_ended_is_an_error(unique: Engine) -> None:
    """It would say that all is well while half of the work is gone; the next one gets a connection that works."""
    with unique.connect() as connection:
        _insert(connection, 1)
        _end_by_sqlite(connection)
        assert _refused(connection.commit)
    with unique.begin() as connection:
        _insert(connection, 2)
    assert _numbers(unique) == [2, 7]


def test_savepoint_is_rolled_back_alone_unless_sqlite_ends_all(unique: Engine) -> None:
    """An ordinary error ends the savepoint only; after the other kind the whole is refused."""
    with unique.connect() as connection:
        _insert(connection, 1)
        with pytest.raises(IntegrityError), connection.begin_nested():
            _insert(connection, 7)
        _insert(connection, 2)
        connection.commit()
        savepoint = connection.begin_nested()
        _end_by_sqlite(connection)
        assert _refused(savepoint.rollback)
        connection.rollback()
        _insert(connection, 3)
        connection.commit()
    assert _numbers(unique) == [1, 2, 3, 7]


def test_autocommit_goes_on_after_such_an_error(unique: Engine) -> None:
    """Where there is no transaction none has ended."""
    with unique.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _end_by_sqlite(connection)
        _insert(connection, 1)
    assert _numbers(unique) == [1, 7]


def test_write_that_is_interrupted_ends_its_transaction(tmp_path: Path) -> None:
    """SQLite rolls back all when DATABASE_TIMEOUT interrupts a write; what follows in the block stays out."""
    config = DatabaseURLParser.parse_url(f"sqlite:///{tmp_path}/app.db")
    engine = SQLiteConnector(DatabaseSettings(timeout=0.1)).engine(config)
    endless = "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT x FROM n"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    with engine.connect() as connection:
        _insert(connection, 1)
        with pytest.raises(OperationalError):
            connection.execute(text(endless))
        assert _refused(lambda: _insert(connection, 2))
    assert _numbers(engine) == []
    engine.dispose()
