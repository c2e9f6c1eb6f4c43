"""Forks: a child has connections of its own, and the parent's transactions are not disturbed."""

import concurrent.futures
import contextlib
import gc
import os
import threading
from pathlib import Path

from sqlalchemy import Engine, text

from settings.database.manager import DatabaseManager
from settings.forks import watch_forks
from tests.database.conftest import Open


def _scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def test_child_of_a_fork_has_connections_of_its_own(open_database: Open, postgres_url: str) -> None:
    """Engine and session of the child reach another backend, and the parent's open transaction is not disturbed."""
    database = open_database(url=postgres_url)
    database.session.execute(text("CREATE TABLE t (id integer)"))
    mine = database.session.scalar(text("SELECT pg_backend_pid()"))
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(Exception):
            others = {_scalar(database.engine, "SELECT pg_backend_pid()")}
            others.add(database.session.scalar(text("SELECT pg_backend_pid()")))
            database.close()
            status = 1 if mine in others else 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert database.session.scalar(text("SELECT pg_backend_pid()")) == mine
    database.session.commit()
    assert _scalar(database.engine, "SELECT count(*) FROM t") == 0


class _Collects:
    """Collects garbage in a child while its other things are being mended, as Python may at any moment."""

    def before_fork(self) -> None:
        """Take nothing."""

    def after_fork_in_parent(self) -> None:
        """Release nothing."""

    def after_fork_in_child(self) -> None:
        """Collect."""
        gc.collect()


def test_garbage_in_a_child_rolls_nothing_back(open_database: Open, postgres_url: str) -> None:
    """What a child forgets of its parent's sessions may be collected at once, and would speak on their connections."""
    database = open_database(url=postgres_url)
    with database.engine.connect():  # the pool's first connection, so that the session's is younger than the collector
        collector = _Collects()
        watch_forks(collector)
        database.session.execute(text("CREATE TABLE t (id integer)"))
    if (child := os.fork()) == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    database.session.commit()
    assert _scalar(database.engine, "SELECT count(*) FROM t") == 0


def test_fork_under_load_shares_no_connection(open_database: Open, postgres_url: str) -> None:
    """Children forked while threads of the parent work: right answers everywhere, no backend of two processes."""
    database = open_database(url=postgres_url, pool_size=4)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE seen (process integer, backend integer)"))
    ended, wrong = threading.Event(), []

    def work() -> None:
        n = 0
        while not ended.is_set():
            n += 1
            if _seen(database.engine, n) != n:
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = [_child(database) for _ in range(4)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in children]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 4
    assert not wrong
    assert _scalar(database.engine, "SELECT count(DISTINCT process) FROM seen") == 5
    shared = "SELECT backend FROM seen GROUP BY backend HAVING count(DISTINCT process) > 1"
    assert _scalar(database.engine, f"SELECT count(*) FROM ({shared}) AS shared") == 0


def _seen(engine: Engine, n: int) -> object:
    with engine.begin() as connection:
        insert = text(f"INSERT INTO seen VALUES ({os.getpid()}, pg_backend_pid()) RETURNING {n}")
        return connection.execute(insert).scalar_one()


def _child(database: DatabaseManager) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(Exception), concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: _seen(database.engine, n), range(100)))
            status = 0 if answers == list(range(100)) else 1
        os._exit(status)
    return child


def test_child_of_a_fork_writes_to_the_same_file(open_database: Open, tmp_path: Path) -> None:
    """On SQLite, too: the child opens the file anew, and the parent's open transaction is committed after it."""
    database = open_database(url=f"sqlite:///{tmp_path}/app.db")
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    database.session.execute(text("SELECT count(*) FROM t"))
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(Exception):
            with database.session() as session:
                session.execute(text("INSERT INTO t VALUES (1)"))
            database.close()
            status = 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    database.session.rollback()
    database.session.execute(text("INSERT INTO t VALUES (2)"))
    database.session.commit()
    assert _scalar(database.engine, "SELECT sum(id) FROM t") == 3
