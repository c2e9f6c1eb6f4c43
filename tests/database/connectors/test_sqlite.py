"""SQLite engines: transactions that are ours, a memory database for all threads, WAL, foreign keys, locks."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from settings.database import DatabaseURLParser
from settings.database.connectors import SQLiteConnector
from settings.database.model import DatabaseSettings


def _engine(url: str) -> Engine:
    config = DatabaseURLParser.parse_url(url)
    assert config.is_valid, config.error_message
    return SQLiteConnector(DatabaseSettings()).engine(config)


@pytest.fixture
def file_engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine on a new file."""
    engine = _engine(f"sqlite:///{tmp_path}/app.db?timeout=0.05")
    yield engine
    engine.dispose()


@pytest.fixture
def memory() -> Iterator[Engine]:
    """An engine on a memory database with a table of numbers."""
    engine = _engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    yield engine
    engine.dispose()


def _numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted(connection.execute(text("SELECT id FROM t")).scalars())


def _errorname(error: OperationalError) -> str:
    assert isinstance(error.orig, sqlite3.OperationalError)
    return str(error.orig.sqlite_errorname)


def test_file_connection_has_its_pragmas(file_engine: Engine) -> None:
    """WAL, foreign keys, NORMAL synchronous and the user's own busy time-out are on."""
    with file_engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 50}


def test_large_file_is_neither_checked_nor_turned_to_wal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A check of gigabytes would keep each boot waiting: the file stays as it is, and a warning says what to do."""
    monkeypatch.setattr("settings.database.connectors.sqlite.MOST_BYTES_CHECKED", 4096)
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER)")
    engine = _engine(f"sqlite:///{tmp_path}/app.db")
    with engine.connect() as connection, engine.connect():
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL: NORMAL is safe with WAL only
    engine.dispose()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "PRAGMA journal_mode = WAL" in caplog.text


def test_foreign_keys_are_kept(file_engine: Engine) -> None:
    """A row that points to nothing is refused."""
    with file_engine.connect() as connection:
        connection.execute(text("CREATE TABLE a (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE b (a INTEGER REFERENCES a)"))
        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO b VALUES (7)"))


@pytest.mark.parametrize("url", ["sqlite://", "file"])
def test_ddl_is_atomic(url: str, tmp_path: Path) -> None:
    """A CREATE TABLE that is rolled back leaves no table."""
    engine = _engine(f"sqlite:///{tmp_path}/app.db" if url == "file" else url)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one() == 0
    engine.dispose()


def test_begin_honours_immediate(file_engine: Engine) -> None:
    """`execution_options(sqlite_begin="IMMEDIATE")` takes the write lock before anything is written."""
    immediate = file_engine.execution_options(sqlite_begin="IMMEDIATE")
    with immediate.begin(), file_engine.connect() as other:
        assert other.execute(text("SELECT 1")).scalar_one() == 1
        with pytest.raises(OperationalError) as caught:
            other.execute(text("CREATE TABLE t (id INTEGER)"))
    assert _errorname(caught.value) == "SQLITE_BUSY"


def test_isolation_level_of_the_url_is_the_default(tmp_path: Path) -> None:
    """`?isolation_level=IMMEDIATE` begins every transaction so."""
    engine = _engine(f"sqlite:///{tmp_path}/app.db?isolation_level=IMMEDIATE&timeout=0.05")
    with engine.begin(), pytest.raises(OperationalError), engine.begin():
        pass
    engine.dispose()


def test_reader_and_writer_go_on_side_by_side(file_engine: Engine) -> None:
    """A plain BEGIN does not lock: a reader keeps its view while another commits."""
    with file_engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    with file_engine.connect() as reader:
        assert reader.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
        with file_engine.begin() as writer:
            writer.execute(text("INSERT INTO t VALUES (1)"))
        assert reader.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
    assert _numbers(file_engine) == [1]


def test_read_then_write_after_another_wrote_is_a_snapshot_error(file_engine: Engine) -> None:
    """What the class says of BEGIN: such a transaction fails at once and is to be retried."""
    with file_engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    with file_engine.connect() as first:
        first.execute(text("SELECT * FROM t")).all()
        with file_engine.begin() as second:
            second.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(OperationalError) as caught:
            first.execute(text("INSERT INTO t VALUES (2)"))
    assert _errorname(caught.value) == "SQLITE_BUSY_SNAPSHOT"


def test_memory_is_shared_by_threads_without_mixing_transactions(memory: Engine) -> None:
    """Eight threads commit and roll back on the one connection, and what is there is what was committed."""

    def work(mine: int) -> None:
        for n in range(25):
            with memory.connect() as connection:
                connection.execute(text("INSERT INTO t VALUES (:id)"), {"id": mine * 100 + n})
                if n % 2:
                    connection.commit()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _numbers(memory) == [mine * 100 + n for mine in range(8) for n in range(1, 25, 2)]


def test_memory_waits_for_another_threads_transaction_and_then_says_locked() -> None:
    """The busy time-out bounds the wait for a turn, with SQLite's own error."""
    engine = _engine("sqlite:///:memory:?timeout=0.05")
    caught: list[str] = []

    def other() -> None:
        try:
            with engine.begin():
                pass
        except OperationalError as error:
            caught.append(_errorname(error))

    with engine.begin():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert caught == ["SQLITE_BUSY"]
    engine.dispose()


def test_memory_transaction_within_one_is_rolled_back_alone(memory: Engine) -> None:
    """In one thread the inner transaction is a savepoint of the outer one."""
    with memory.begin() as outer:
        outer.execute(text("INSERT INTO t VALUES (1)"))
        with memory.connect() as inner:
            inner.execute(text("INSERT INTO t VALUES (2)"))
        with memory.begin() as inner:
            inner.execute(text("INSERT INTO t VALUES (3)"))
    assert _numbers(memory) == [1, 3]


def test_memory_transaction_that_ends_before_one_begun_inside_it_stays_committed(memory: Engine) -> None:
    """A commit is a commit, also when a transaction begun later in the same thread is rolled back after it."""
    with memory.connect() as later:
        with memory.begin() as first:
            first.execute(text("INSERT INTO t VALUES (1)"))
            later.execute(text("SELECT 1"))
        later.execute(text("INSERT INTO t VALUES (2)"))
        later.rollback()
    assert _numbers(memory) == [1]


def test_missing_folder_is_made(tmp_path: Path) -> None:
    """The folder of the file comes into being with it."""
    engine = _engine(f"sqlite:///{tmp_path}/a/b/app.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    assert (tmp_path / "a/b/app.db").is_file()
    engine.dispose()


def test_autocommit_runs_outside_of_transactions(file_engine: Engine) -> None:
    """With AUTOCOMMIT there is no BEGIN, so VACUUM works, and the next transaction is one again."""
    autocommit = file_engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
        connection.execute(text("VACUUM"))
    with file_engine.connect() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.rollback()
    assert _numbers(file_engine) == []


def test_deadline_ends_a_statement_of_the_engine(tmp_path: Path) -> None:
    """DATABASE_TIMEOUT interrupts SQLite too, and the busy time-out is never longer."""
    config = DatabaseURLParser.parse_url(f"sqlite:///{tmp_path}/app.db")
    engine = SQLiteConnector(DatabaseSettings(timeout=0.1)).engine(config)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 100
        with pytest.raises(OperationalError) as caught:
            connection.execute(
                text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT max(x) FROM n")
            )
    assert _errorname(caught.value) == "SQLITE_INTERRUPT"
    engine.dispose()


def test_file_that_another_holds_keeps_its_journal_mode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the switch to WAL is not possible now, work goes on without it, and a warning says so."""
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as holder:
        holder.execute("CREATE TABLE t (id INTEGER)")
        holder.execute("BEGIN")
        holder.execute("SELECT * FROM t").fetchall()
        engine = _engine(f"sqlite:///{tmp_path}/app.db?timeout=0.05")
        assert _numbers(engine) == []
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
    engine.dispose()
