"""The shared connection of a memory database: what is left open does not keep others out for ever."""

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from settings.database import DatabaseURLParser
from settings.database.connectors import SQLiteConnector
from settings.database.connectors.turns import SharedConnection
from settings.database.model import DatabaseSettings


@pytest.fixture
def memory() -> Iterator[Engine]:
    """An engine on a memory database with a table of numbers."""
    engine = SQLiteConnector(DatabaseSettings()).engine(DatabaseURLParser.parse_url("sqlite:///:memory:?timeout=0.5"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    yield engine
    engine.dispose()


def _numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted(connection.execute(text("SELECT id FROM t")).scalars())


def test_transaction_of_a_thread_that_ended_is_rolled_back(memory: Engine) -> None:
    """A thread that ends without a commit leaves nothing, and the turn is free."""
    kept: list[Connection] = []

    def work() -> None:
        kept.append(memory.connect())
        kept[0].execute(text("INSERT INTO t VALUES (1)"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert _numbers(memory) == []


def test_connection_that_nobody_refers_to_is_rolled_back(memory: Engine) -> None:
    """As with a pool of files, what is dropped without a commit is undone."""
    memory.connect().execute(text("INSERT INTO t VALUES (1)"))
    gc.collect()
    assert _numbers(memory) == []


def test_outer_rollback_takes_the_inner_work_along(memory: Engine) -> None:
    """What was released into the outer transaction shares its fate."""
    with memory.connect() as outer:
        outer.execute(text("INSERT INTO t VALUES (1)"))
        with memory.begin() as inner:
            inner.execute(text("INSERT INTO t VALUES (2)"))
        outer.rollback()
    assert _numbers(memory) == []


def test_inner_goes_on_in_a_transaction_of_its_own(memory: Engine) -> None:
    """After the outer one has ended first, the inner one still commits and rolls back."""
    with memory.connect() as outer, memory.connect() as inner:
        outer.execute(text("INSERT INTO t VALUES (1)"))
        inner.execute(text("INSERT INTO t VALUES (2)"))
        outer.rollback()
        inner.execute(text("INSERT INTO t VALUES (3)"))
        inner.commit()
        inner.execute(text("INSERT INTO t VALUES (4)"))
        inner.rollback()
    assert _numbers(memory) == [3]


def test_failed_statement_leaves_the_transaction_usable(memory: Engine) -> None:
    """An error within a savepoint is the inner one's only."""
    with memory.begin() as outer:
        outer.execute(text("INSERT INTO t VALUES (1)"))
        with memory.connect() as inner, pytest.raises(IntegrityError):
            inner.execute(text("INSERT INTO t VALUES (1)"))
        outer.execute(text("INSERT INTO t VALUES (2)"))
    assert _numbers(memory) == [1, 2]


def test_commit_of_the_raw_connection_ends_no_transaction(memory: Engine) -> None:
    """Whoever holds the driver's connection cannot commit what another has begun."""
    with memory.connect() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raw = memory.raw_connection()
        raw.commit()
        raw.close()
    assert _numbers(memory) == []


def test_child_of_a_fork_has_its_own_copy(memory: Engine) -> None:
    """The child goes on with what was committed, without the parent's open transaction."""
    with memory.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    with memory.connect() as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
        child = os.fork()
        if child == 0:
            os._exit(0 if _numbers(memory) == [1] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        connection.commit()
    assert _numbers(memory) == [1, 2]


def test_closed_connection_does_not_disturb_a_fork(memory: Engine) -> None:
    """A connection that is closed and still referred to is left alone in a child."""
    with memory.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, SharedConnection)
    memory.dispose()
    driver.after_fork_in_child()
    with memory.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_all_that_sqlite_ended_are_refused_until_each_was_rolled_back(memory: Engine) -> None:
    """An error in the inner one that ends all is the outer one's, too; then the turn is another thread's."""
    with memory.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (7)"))
    with memory.connect() as outer, memory.connect() as inner:
        outer.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(IntegrityError):
            inner.execute(text("INSERT OR ROLLBACK INTO t VALUES (7)"))
        inner.rollback()
        with pytest.raises(OperationalError, match="Fix: roll back"):
            inner.execute(text("INSERT INTO t VALUES (2)"))
        with pytest.raises(OperationalError, match="Fix: roll back"):
            outer.execute(text("INSERT INTO t VALUES (3)"))
        outer.rollback()
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(_numbers, memory).result(10) == [7]


def test_transactions_within_each_other_of_a_dead_thread_are_rolled_back(memory: Engine) -> None:
    """Also where they were several, and the next thread does not wait for its turn."""
    kept: list[Connection] = []

    def work() -> None:
        kept.extend((memory.connect(), memory.connect()))
        for number, each in enumerate(kept):
            each.execute(text("INSERT INTO t VALUES (:id)"), {"id": number})

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert _numbers(memory) == []
