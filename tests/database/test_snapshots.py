"""Each process's last words: one row a process, read by age on the database's clock."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database.migrations import MigrationManager
from settings.database.snapshots import Snapshots


@pytest.fixture
def engine(each_url: str, open_database: Callable[..., Any]) -> Engine:
    """An engine on a database with the schema, of each kind."""
    made: Engine = open_database(url=each_url).engine
    MigrationManager(made).ensure_tables_exist()
    return made


def age(engine: Engine, process: str, seconds: float) -> None:
    """Make a snapshot older."""
    with engine.begin() as connection:
        statement = text("UPDATE process_snapshots SET written_at = written_at - :s WHERE process = :p")
        connection.execute(statement, {"s": seconds, "p": process})


def test_what_a_process_says_is_replaced_and_read_back(engine: Engine) -> None:
    """The newest body is there, with its moment and its age."""
    snapshots = Snapshots(lambda: engine, app_name="app")
    snapshots.write("host:1:a", "host", 1, {"old": True})
    snapshots.write("host:1:a", "host", 1, {"health": {"database": "healthy"}, "list": [1, None, 2.5]})
    (found,) = snapshots.read(60)
    assert (found.process, found.host, found.pid) == ("host:1:a", "host", 1)
    assert found.body == {"health": {"database": "healthy"}, "list": [1, None, 2.5]}
    assert abs(found.written_at - time.time()) < 60
    assert -1 < found.age_seconds < 60


def test_a_text_of_a_user_keeps_no_process_out_of_the_fleet(engine: Engine) -> None:
    """A NUL, half a surrogate pair or a number that is none, in a message or a name, is replaced, not refused."""
    snapshots = Snapshots(lambda: engine, app_name="app")
    snapshots.write("host:1:a", "host", 1, {"errors": [{"example\0": "no such order \ud800\0", "seen": float("nan")}]})
    (found,) = snapshots.read(60)
    assert found.body == {"errors": [{"example?": "no such order ??", "seen": None}]}


@pytest.mark.parametrize("word", [float("nan"), "a\0b", "\ud800", b"bytes", {1, 2}, object()])
def test_whatever_a_process_says_is_kept(engine: Engine, word: object) -> None:
    """An odd fact of an application's own probe, or in the text of an error, does not hide the process."""
    snapshots = Snapshots(lambda: engine, app_name="app")
    snapshots.write("host:1:a", "host", 1, {"facts": {"odd": word, "even": 2}})
    (found,) = snapshots.read(60)
    assert found.body["facts"]["even"] == 2


def test_only_young_snapshots_of_the_application_are_read(engine: Engine) -> None:
    """Those of dead processes and of other applications are not among them."""
    snapshots = Snapshots(lambda: engine, app_name="app")
    for name, pid in (("b", 2), ("a", 1), ("dead", 3)):
        snapshots.write(name, "host", pid, {})
    Snapshots(lambda: engine, app_name="other").write("x", "host", 9, {})
    age(engine, "dead", 100)
    assert [each.process for each in snapshots.read(60)] == ["a", "b"]


def test_an_ended_process_is_forgotten(engine: Engine) -> None:
    """By its name; the others stay, and so does another application's process of the same name."""
    snapshots, other = (Snapshots(lambda: engine, app_name=name) for name in ("app", "other"))
    for name in ("a", "b"):
        snapshots.write(name, "host", 1, {})
    other.write("a", "host", 1, {})
    snapshots.forget("a")
    assert [each.process for each in other.read(1000)] == ["a"]
    assert [each.process for each in snapshots.read(1000)] == ["b"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_ends_waits_for_nobodys_lock(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, open_database: Callable[..., Any]
) -> None:
    """A row that cannot be deleted soon stays; the connection is as patient as before in what comes after."""
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else f"sqlite:///{tmp_path}/app.db"
    database, other = open_database(url=url), open_database(url=url)
    MigrationManager(database.engine).ensure_tables_exist()
    snapshots = Snapshots(lambda: database.engine, app_name="app", within=database.within)
    snapshots.write("a", "host", 1, {})
    lock = text("LOCK TABLE process_snapshots" if kind == "postgresql" else "UPDATE process_snapshots SET pid = 2")
    with other.engine.connect() as holder:
        holder.execute(lock)
        begin = time.monotonic()
        with pytest.raises(DBAPIError):
            snapshots.forget("a", 0.1)
        assert time.monotonic() - begin < 2
    if kind == "sqlite":
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5000
    snapshots.forget("a")
    assert snapshots.read(60) == []
