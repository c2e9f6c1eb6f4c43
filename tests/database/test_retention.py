"""What is old goes, in bounded batches; what is young, open or nobody's rule stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, Table, event, func, select, text

from settings.database.migrations import MigrationManager
from settings.database.retention import Retention
from settings.database.tables import performance_alerts, process_snapshots, worker_runs
from tests.servers import wait_until

NOW = datetime.now(UTC)


@pytest.fixture
def engine(each_url: str, open_database: Callable[..., Any]) -> Engine:
    """An engine on a database with the schema, of each kind."""
    made: Engine = open_database(url=each_url).engine
    MigrationManager(made).ensure_tables_exist()
    return made


def count(engine: Engine, table: Table) -> int:
    """Return how many rows there are."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_old_resolved_alerts_are_deleted_in_batches(engine: Engine) -> None:
    """Only resolved ones older than the days, and never more than a batch in one statement."""
    with engine.begin() as connection:
        for n in range(25):
            values = {"alert_type": "t", "severity": "low", "title": "T", "endpoint": str(n), "status": "resolved"}
            old = NOW - timedelta(days=31 if n < 23 else 29)
            connection.execute(performance_alerts.insert().values(**values, resolved_at=old))
        connection.execute(
            performance_alerts.insert().values(
                alert_type="t", severity="low", title="T", created_at=NOW - timedelta(99)
            )
        )
    batches: list[int] = []
    event.listen(engine, "after_cursor_execute", lambda *args: batches.append(args[1].rowcount))
    assert Retention(lambda: engine).delete_resolved_alerts(30, batch=10) == 23
    assert [each for each in batches if each > 0] == [10, 10, 3]
    assert count(engine, performance_alerts) == 3


def test_stale_runs_go(engine: Engine) -> None:
    """A job that nobody runs any more is forgotten; the others are not."""
    with engine.begin() as connection:
        now = NOW.timestamp()
        for job, due, finished in (("gone", now - 90 * 86400, now - 90 * 86400), ("here", now, now - 90 * 86400),
                                   ("new", 0, None), ("killed", now - 90 * 86400, None)):  # fmt: skip
            run: dict[str, object] = {"app_name": "a", "job": job, "due_at": due, "finished_at": finished}
            connection.execute(worker_runs.insert().values(**run, started_at=finished or (due or None)))
    assert Retention(lambda: engine).run() == {"worker_runs": 2, "process_snapshots": 0}
    with engine.connect() as connection:
        assert set(connection.execute(select(worker_runs.c.job)).scalars()) == {"here", "new"}


@pytest.mark.parametrize(("interval", "left"), [(30, {"new", "other"}), (7200, {"new", "dead", "other"})])
def test_snapshots_of_dead_processes_go(engine: Engine, interval: float, left: set[str]) -> None:
    """Who is silent for three intervals, and an hour; of another application, which may write daily, three days."""
    ages = (("app", "new", 60), ("app", "dead", 7000), ("shop", "other", 250000), ("shop", "gone", 270000))
    with engine.begin() as connection:
        for app_name, process, age in ages:
            written_at = datetime.now(UTC).timestamp() - age
            row = {"app_name": app_name, "process": process, "host": "h", "pid": 1, "written_at": written_at}
            connection.execute(process_snapshots.insert().values(**row, body={}))
    retention = Retention(lambda: engine, app_name="app", snapshot_seconds=interval)
    assert retention.run()["process_snapshots"] == len(ages) - len(left)
    with engine.connect() as connection:
        assert set(connection.execute(select(process_snapshots.c.process)).scalars()) == left


@pytest.mark.parametrize("aware", [True, False])
def test_rules_of_the_application_are_applied(engine: Engine, aware: bool) -> None:
    """Old rows of its tables go, with keys of several columns or none, and times with a zone or without."""
    theirs = MetaData()
    kind = DateTime(timezone=aware)
    keyed = Table("keyed", theirs, Column("a", Integer, primary_key=True), Column("b", Integer, primary_key=True),
                  Column("created_at", kind))  # fmt: skip
    keyless = Table("keyless", theirs, Column("at", kind), Column("n", Integer))
    theirs.create_all(engine)
    with engine.begin() as connection:
        for n in range(3):
            moment = (NOW if aware else NOW.replace(tzinfo=None)) - timedelta(days=n * 5)
            connection.execute(keyed.insert().values(a=n, b=n, created_at=moment))
            connection.execute(keyless.insert().values(n=None, at=moment))
    retention = Retention(lambda: engine)
    retention.add("keyed", days=7)
    retention.add("keyless", days=3, column="at")
    assert retention.run() == {"worker_runs": 0, "process_snapshots": 0, "keyed": 1, "keyless": 2}
    assert (count(engine, keyed), count(engine, keyless)) == (2, 1)


@pytest.mark.parametrize("kind", ["INTEGER", "REAL", "NUMERIC", "BIGINT", "DATETIME", "TIMESTAMP"])
def test_numbers_are_no_moments(open_database: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    """SQLite takes every number for smaller than a moment: a column of seconds keeps its rows."""
    engine = open_database(url=f"sqlite:///{tmp_path / 'numbers.db'}").engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE events (created_at {kind})")
        connection.exec_driver_sql(f"INSERT INTO events VALUES ({NOW.timestamp()}), (1)")
    retention = Retention(lambda: engine)
    retention.add("events", days=30)
    assert retention.run().get("events", 0) == 0
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 2


def test_a_moment_without_a_time_zone_has_a_day_of_grace(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """A server that tells the time of Los Angeles writes moments that look eight hours older than they are."""
    engine = open_database(url=f"{postgres_url}?options=-ctimezone%3DAmerica/Los_Angeles").engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE events (created_at timestamp, day date)")
        for hours in (20, 96):
            moment = f"localtimestamp - interval '{hours} hours'"
            connection.exec_driver_sql(f"INSERT INTO events VALUES ({moment}, ({moment})::date)")
    retention = Retention(lambda: engine)
    for column in ("day", "created_at"):
        retention.add("events", days=1, column=column)
        retention.run()
        with engine.connect() as connection:
            left = "EXTRACT(hour FROM sum(localtimestamp - created_at))"
            assert connection.exec_driver_sql(f"SELECT {left} FROM events").scalar() == 20


def test_texts_of_moments_are_compared_on_sqlite(open_database: Callable[..., Any], tmp_path: Path) -> None:
    """Where a column of texts holds moments in ISO 8601, as many applications write them, old rows go."""
    engine = open_database(url=f"sqlite:///{tmp_path / 'texts.db'}").engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE events (created_at TEXT)")
        connection.exec_driver_sql("INSERT INTO events VALUES (?), ('2020-01-01T00:00:00')", (NOW.isoformat(),))
    retention = Retention(lambda: engine)
    retention.add("events", days=30)
    assert retention.run()["events"] == 1


def test_young_rows_of_a_partition_stay(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """In a partitioned table without a key a row of today stands at the same place as an old one, and is not it."""
    engine: Engine = open_database(url=postgres_url).engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE visits (created_at TIMESTAMPTZ, n INT) PARTITION BY RANGE (created_at)"))
        for name, bounds in (("old", "(MINVALUE) TO ('2026-01-01')"), ("young", "('2026-01-01') TO (MAXVALUE)")):
            connection.execute(text(f"CREATE TABLE visits_{name} PARTITION OF visits FOR VALUES FROM {bounds}"))
        for n in range(5):
            rows = [{"at": datetime(2020, 1, 1, tzinfo=UTC), "n": n}, {"at": NOW, "n": n}]
            connection.execute(text("INSERT INTO visits VALUES (:at, :n)"), rows)
    retention = Retention(lambda: engine)
    retention.add("visits", days=7)
    assert retention.run()["visits"] == 5
    with engine.connect() as connection:
        assert connection.execute(text("SELECT min(created_at), count(*) FROM visits")).one() == (NOW, 5)


def test_a_row_that_is_refreshed_meanwhile_stays(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """What was old when the batch was chosen, and is young when its turn comes, is not deleted."""
    engine: Engine = open_database(url=postgres_url).engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE carts (id INT PRIMARY KEY, created_at TIMESTAMPTZ)"))
        connection.execute(text("INSERT INTO carts VALUES (1, '2020-01-01')"))
    retention = Retention(lambda: engine)
    retention.add("carts", days=7)
    with ThreadPoolExecutor(1) as threads:
        with engine.begin() as connection:
            connection.execute(text("UPDATE carts SET created_at = now()"))
            cleanup = threads.submit(retention.run)
            wait_until(lambda: _waiting(engine) == 1, what="the deletion to wait for the row")
        assert cleanup.result(10)["carts"] == 0


def _waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(connection.execute(waiting).scalar_one())


def test_a_rule_that_fails_does_not_stop_the_others(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A table or column that is not there is logged, and the rest is cleaned."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (created_at TIMESTAMP)"))
        connection.execute(text("INSERT INTO notes VALUES ('2020-01-01 00:00:00')"))
    retention = Retention(lambda: engine)
    retention.add("missing", days=1)
    retention.add("notes", days=1, column="nothing")
    retention.add("notes ", days=1)
    assert retention.run() == {"worker_runs": 0, "process_snapshots": 0}
    assert "missing" in caplog.text
    retention.add("notes", days=1)
    assert retention.run()["notes"] == 1


@pytest.mark.parametrize("days", [0, -1])
def test_a_rule_keeps_a_day_at_the_least(days: int) -> None:
    """A rule that would empty the table is a mistake."""
    with pytest.raises(ValueError, match="rows of things must be kept for a day"):
        Retention(lambda: None).add("things", days=days)  # type: ignore[arg-type, return-value] # no engine is needed
