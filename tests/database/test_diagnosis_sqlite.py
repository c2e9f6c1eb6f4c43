"""Every fault of SQLite, made with real files, has its cause and fix, and no file is changed by it."""

import contextlib
import gc
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database import DatabaseURLParser
from settings.database.connectors import SQLiteConnector
from settings.database.diagnosis import CODES, diagnose_database
from settings.database.diagnosis_sqlite import CODES_OF_SQLITE, by_name
from settings.database.model import DatabaseSettings
from settings.problems import BootstrapError, Diagnosis


def _engine(path: object, query: str = "?timeout=0.05") -> Engine:
    config = DatabaseURLParser.parse_url(f"sqlite:///{path}{query}")
    assert config.is_valid, config.error_message
    return SQLiteConnector(DatabaseSettings()).engine(config)


def _diagnosed(work: Callable[[], object]) -> Diagnosis:
    with pytest.raises((DBAPIError, sqlite3.Error, BootstrapError)) as caught:
        work()
    return diagnose_database(caught.value)


def _write(path: object, query: str = "?timeout=0.05", statement: str = "CREATE TABLE t2 (id INTEGER)") -> Diagnosis:
    def write() -> None:
        engine = _engine(path, query)
        try:
            with engine.begin() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()

    return _diagnosed(write)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sound database in rollback-journal mode with a table of a thousand rows."""
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, text TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 100) for n in range(1000)])
        connection.commit()
    return path


def _text(path: Path) -> None:
    path.write_text("these are the minutes of a meeting\n" * 100)


def _encrypted(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def _overwritten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))


def _header_overwritten(path: Path) -> None:
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])


def _newer(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[18:20] = b"\x05\x05"
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_text, "not-a-database"),
        (_encrypted, "not-a-database"),
        (_header_overwritten, "not-a-database"),
        (_newer, "not-a-database"),
        (_truncated, "corrupt"),
        (_overwritten, "corrupt"),
    ],
)
def test_damaged_or_foreign_file_is_told_and_not_touched(harm: Callable[[Path], None], code: str, file: Path) -> None:
    """Connecting says what the file is, and leaves every byte of it, and nothing beside it."""
    harm(file)
    before = file.read_bytes()
    found = _write(file)
    assert found.code == f"sqlite-{code}"
    assert not found.transient
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - the names are wanted


def test_folder_as_a_file_is_told(tmp_path: Path) -> None:
    """A path that is a folder."""
    assert _write(tmp_path).code == "sqlite-is-a-directory"
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be; its content stays."""
    (tmp_path / "data").write_text("in the way")
    assert _write(tmp_path / "data" / "app.db").code == "sqlite-folder"
    assert (tmp_path / "data").read_text() == "in the way"


def test_missing_file_with_mode_rw_is_told_and_not_made(tmp_path: Path) -> None:
    """`mode=rw` makes no file, and no folder either."""
    assert _write(f"file:{tmp_path}/no/app.db", "?uri=true&mode=rw").code == "sqlite-cannot-open"
    assert not list(tmp_path.iterdir())


def test_file_opened_read_only_is_read_and_not_written(file: Path) -> None:
    """`mode=ro` reads, keeps the journal mode, and refuses to write."""
    before = file.read_bytes()
    found = _write(f"file:{file}", "?uri=true&mode=ro")
    assert found.code == "sqlite-read-only"
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM nope", "schema"),
        ("SELECT nope FROM t", "schema"),
        ("CREATE TABLE t (id INTEGER)", "exists"),
        ("INSERT INTO u VALUES (1), (1)", "constraint"),
        ("INSERT INTO u VALUES (zeroblob(2000000000))", "too-big"),
    ],
)
def test_failed_statement_is_told_apart_by_its_code(statement: str, code: str, file: Path) -> None:
    """What SQLite answers to a statement."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE u (id INTEGER PRIMARY KEY)")
    assert _write(file, statement=statement).code == f"sqlite-{code}"


def test_lock_held_by_another_is_transient(file: Path) -> None:
    """A write lock that outlasts the busy time-out, and an exclusive one that keeps readers out."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        _engine(file).connect().close()
        holder.execute("BEGIN IMMEDIATE")
        found = _write(file)
        assert (found.code, found.transient) == ("sqlite-locked", True)
        assert "?timeout=" in found.fix


def test_file_deleted_while_open_is_told(file: Path) -> None:
    """A write into a file that is gone would be lost: SQLite itself says so, but for WAL."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("SELECT * FROM t").fetchall()
        file.unlink()
        found = _diagnosed(lambda: connection.execute("INSERT INTO t VALUES (1, '')"))
    assert found.code == "sqlite-moved"


def test_connection_used_in_another_thread_is_told(file: Path) -> None:
    """`check_same_thread=true` is the user's wish, and the fix says what it does."""
    error = sqlite3.ProgrammingError("SQLite objects created in a thread can only be used in that same thread.")
    assert diagnose_database(error).code == "sqlite-thread"


def test_full_database_is_told_and_reading_goes_on(file: Path) -> None:
    """`max_page_count` reached is SQLITE_FULL, as a full disk is."""
    engine = _engine(file)
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        found = _diagnosed(lambda: connection.execute(text("INSERT INTO t VALUES (1, :text)"), {"text": "x" * 100000}))
        assert found.code == "sqlite-full"
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 1000
    engine.dispose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, which only a user who may mount one can have."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.full
def test_full_disk_is_told_and_what_was_there_stays(small_disk: Path) -> None:
    """The transaction that found the disk full is undone, and reading goes on."""
    path, engine = small_disk / "app.db", _engine(small_disk / "app.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (text TEXT)"))
        connection.execute(text("INSERT INTO t VALUES ('kept')"))
    found = _write(path, statement="INSERT INTO t VALUES (hex(zeroblob(300000)))")
    assert found.code == "sqlite-full"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT text FROM t")).scalars().all() == ["kept"]
    engine.dispose()


@pytest.mark.full
def test_read_only_file_system_is_told_and_read_where_it_can_be(small_disk: Path) -> None:
    """A new file cannot be made there; one in rollback-journal mode can be read, and not written."""
    with contextlib.closing(sqlite3.connect(small_disk / "old.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER)")
    _engine(small_disk / "wal.db").connect().close()
    gc.collect()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert _write(small_disk / "wal.db").code in {"sqlite-cannot-open", "sqlite-read-only"}
    assert _write(small_disk / "new.db").code == "sqlite-folder"
    assert _write(small_disk / "folder" / "new.db").code == "sqlite-folder"
    assert _write(small_disk / "old.db").code == "sqlite-read-only"
    engine = _engine(small_disk / "old.db")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_IOERR_SHORT_READ", "sqlite-io"),
        ("SQLITE_CONSTRAINT_UNIQUE", "sqlite-constraint"),
        ("SQLITE_READONLY_DBMOVED", "sqlite-moved"),
        ("SQLITE_READONLY_DIRECTORY", "sqlite-read-only"),
        ("SQLITE_BUSY_SNAPSHOT", "sqlite-snapshot"),
        ("SQLITE_BUSY_RECOVERY", "sqlite-recovering"),
        ("SQLITE_BUSY_TIMEOUT", "sqlite-locked"),
        ("SQLITE_NOMEM", "sqlite-out-of-memory"),
        ("SQLITE_CORRUPT_INDEX", "sqlite-corrupt"),
    ],
)
def test_extended_code_counts_as_its_primary_one(name: str, code: str) -> None:
    """Unless it has a row of its own."""
    found = by_name(name)
    assert found is not None
    assert found.code == code


def test_every_row_has_cause_fix_and_a_code_of_the_table() -> None:
    """No row is left half written, and a name that nobody knows has none."""
    for found in CODES_OF_SQLITE.values():
        assert found.code in CODES
        assert found.cause
        assert found.fix
        assert not (found.cause + found.fix).endswith(".")
    assert by_name("NOTHING_OF_SQLITE") is None
