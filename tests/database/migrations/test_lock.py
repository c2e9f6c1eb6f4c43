"""One migration at a time, whoever boots, and whoever is killed while he holds the lock."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from settings.database.migrations import MigrationManager
from settings.database.migrations.lock import LOCK_KEY, migration_transaction
from settings.database.tables import VERSION_TABLE, metadata
from settings.probe import HealthStatus
from tests.database.conftest import Open
from tests.servers import wait_until

FLEET = Path(__file__).with_name("fleet.py")
HOUSE = Path(__file__).parent.parent.parent.parent
SLOW = '''"""Two tables, with a long pause in between for whoever comes first."""
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "a1"
down_revision = None


def upgrade():
    """Make them."""
    op.create_table("one", sa.Column("id", sa.Integer, primary_key=True))
    marker = Path({marker!r})
    if not marker.exists():
        marker.touch()
        time.sleep(600)
    op.create_table("two", sa.Column("id", sa.Integer, primary_key=True))
'''


def start_fleet(url: str, count: int, *, kills: int = 0, folder: object = "") -> subprocess.Popen[str]:
    """Start processes that migrate at once."""
    command = [sys.executable, str(FLEET), url, str(count), str(kills), str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(HOUSE)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def exits_of(fleet: subprocess.Popen[str]) -> list[int]:
    """Return how each process of a fleet ended."""
    out, err = fleet.communicate(timeout=100)
    assert fleet.returncode == 0, err
    statuses: list[int] = json.loads(out)
    assert set(statuses) <= {0, -signal.SIGKILL}, err
    return statuses


def clear(engine: Engine) -> None:
    """Make the database empty again."""
    with engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            connection.execute(text(f"DROP TABLE {name}"))


def damage(engine: Engine) -> None:
    """Take away a table, a column and the indexes on it."""
    with engine.begin() as connection:
        for index in ("ix_performance_alerts_type_status", "uq_performance_alerts_open"):
            connection.execute(text(f"DROP INDEX {index}"))
        connection.execute(text("ALTER TABLE performance_alerts DROP COLUMN description"))
        connection.execute(text("DROP TABLE worker_runs"))


def assert_whole(engine: Engine) -> None:
    """There is one revision, all of the schema, and nothing to mend."""
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all() == ["0001"]
    assert set(metadata.tables) < set(inspect(engine).get_table_names())
    assert MigrationManager(engine).pending() == []


@pytest.mark.parametrize(
    ("count", "rounds"), [(8, 2), pytest.param(16, 20, marks=[pytest.mark.full, pytest.mark.timeout(600)])]
)
def test_processes_that_boot_at_once_make_one_schema(engine: Engine, url: str, count: int, rounds: int) -> None:
    """However many boot on one empty database, every one exits 0, and the schema is the same."""
    for _ in range(rounds):
        assert exits_of(start_fleet(url, count)) == [0] * count
        assert_whole(engine)
        clear(engine)


@pytest.mark.parametrize(
    ("count", "rounds"), [(6, 1), pytest.param(16, 20, marks=[pytest.mark.full, pytest.mark.timeout(600)])]
)
def test_processes_killed_anywhere_leave_no_harm(engine: Engine, url: str, count: int, rounds: int) -> None:
    """Whoever is killed with SIGKILL, wherever he was, the others exit 0 and the schema is whole: made or mended."""
    for turn in range(rounds):
        statuses = exits_of(start_fleet(url, count, kills=count // 3))
        assert statuses.count(0) >= count - count // 3
        assert_whole(engine)
        (clear, damage)[turn % 2](engine)


@pytest.fixture
def slow_folder(tmp_path: Path) -> Path:
    """An Alembic folder whose revision stops half-way for the first who runs it."""
    versions = tmp_path / "slow" / "versions"
    versions.mkdir(parents=True)
    (versions / "a1_tables.py").write_text(SLOW.format(marker=str(tmp_path / "half-way")))
    return versions.parent


@pytest.fixture
def holder(url: str, slow_folder: Path, tmp_path: Path) -> Iterator[int]:
    """The number of a process that is half-way through a migration."""
    fleet = start_fleet(url, 1, folder=slow_folder)
    wait_until((tmp_path / "half-way").exists, what="the migration to be half-way")
    children = Path(f"/proc/{fleet.pid}/task/{fleet.pid}/children").read_text().split()
    yield int(children[0])
    for each in [*map(int, children), fleet.pid]:
        if Path(f"/proc/{each}").exists():
            os.kill(each, signal.SIGKILL)
    fleet.communicate()


def test_the_wait_is_bounded_and_names_the_holder(engine: Engine, holder: int) -> None:
    """Who waits for longer than he may goes on degraded, and says which process migrates."""
    manager = MigrationManager(engine, wait=0.3)
    result = manager.ensure_tables_exist()
    assert result.diagnosis is not None
    assert (result.status, result.diagnosis.code) == ("failed", "migration-locked")
    assert "longer than DATABASE_MIGRATE_WAIT (0.3 s)" in result.diagnosis.cause
    named = f"process {holder}" if engine.dialect.name == "sqlite" else "(fleet, from 127.0.0.1"
    assert named in result.diagnosis.cause
    assert result.milliseconds < 10_000
    assert manager.reading().status is HealthStatus.UNHEALTHY


def test_a_killed_holder_leaves_nothing_half_applied(engine: Engine, url: str, holder: int, slow_folder: Path) -> None:
    """With SIGKILL in mid-migration nothing of it stays, and those who wait finish it."""
    fleet = start_fleet(url, 3, folder=slow_folder)
    os.kill(holder, signal.SIGKILL)
    assert exits_of(fleet) == [0, 0, 0]
    assert_whole(engine)
    assert {"one", "two"} < set(inspect(engine).get_table_names())


def test_a_killed_holder_alone_leaves_an_empty_database(engine: Engine, holder: int) -> None:
    """What was made before the kill is gone with it."""
    os.kill(holder, signal.SIGKILL)
    wait_until(
        lambda: MigrationManager(engine, wait=5).ensure_tables_exist().status == "ok", what="the lock to be free"
    )
    assert "one" not in inspect(engine).get_table_names()


def test_no_lock_outlives_its_transaction(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """A session's lock would be lost, or stay for ever, behind a transaction pooler."""
    engine = open_database(url=postgres_url).engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.connect() as connection:
        held = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        held += " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        assert connection.execute(text(held)).scalar() == 0


def test_a_holder_whose_transaction_has_ended_is_waited_for(postgres_url: str, open_database: Open) -> None:
    """Its lock may be seen a moment longer than its transaction."""
    engine = open_database(url=postgres_url).engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as ended:
        ended.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK_KEY})")
        result = MigrationManager(engine, wait=0.3).ensure_tables_exist()
        ended.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK_KEY})")
    assert result.diagnosis is not None
    assert result.diagnosis.code == "migration-locked"
    assert "(tests, from 127.0.0.1) has held" in result.diagnosis.cause
    assert MigrationManager(engine).ensure_tables_exist().status == "ok"


def test_time_outs_of_statements_do_not_end_the_wait(url: str, holder: int, open_database: Callable[..., Any]) -> None:
    """DATABASE_STATEMENT_TIMEOUT and DATABASE_TIMEOUT bound a statement, not the wait for another process."""
    engine = open_database(url=url, statement_timeout=0.5, timeout=1.0).engine
    result = MigrationManager(engine, wait=1.5).ensure_tables_exist()
    assert result.diagnosis is not None
    assert result.diagnosis.code == "migration-locked"


def test_a_default_isolation_does_not_hide_what_others_did(
    postgres_url: str, open_database: Callable[..., Any]
) -> None:
    """Where REPEATABLE READ is the default, the schema is still read as it is once the lock is held."""
    engine = open_database(url=f"{postgres_url}?options=-c default_transaction_isolation=serializable").engine
    assert exits_of(start_fleet(f"{postgres_url}?options=-c default_transaction_isolation=serializable", 4)) == [0] * 4
    assert_whole(engine)


def test_a_migration_outlives_the_deadline_of_statements(open_database: Open, postgres_url: str) -> None:
    """DATABASE_TIMEOUT and DATABASE_STATEMENT_TIMEOUT bound what serves requests, before and after."""
    engine = open_database(url=postgres_url, timeout=0.3, statement_timeout=0.3).engine
    with migration_transaction(engine, 1) as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.6)")
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.exec_driver_sql("SELECT pg_sleep(30)")
