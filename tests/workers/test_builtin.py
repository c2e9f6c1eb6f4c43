"""The built-in jobs, with the real tables: alerts raised and resolved for the fleet, old rows deleted."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from settings.database.alerts import Alerts
from settings.database.manager import DatabaseManager
from settings.database.retention import Retention
from settings.database.tables import performance_alerts
from settings.workers.builtin import AlertRaiser, register_builtin
from settings.workers.cleanup import clean, resolve_alerts
from settings.workers.model import WorkersSettings
from settings.workers.performance import SLOW, PerformanceMonitor
from tests.servers import wait_until
from tests.workers.conftest import MakeWorkers, Open


def _slow_process(seconds: float = 2, requests: int = 20) -> PerformanceMonitor:
    monitor = PerformanceMonitor(latency_threshold_ms=1000, error_rate_threshold=0.05)
    for _ in range(requests):
        monitor.observe("orders", 200, seconds)
    return monitor


def _alerts(database: DatabaseManager) -> Alerts:
    return Alerts(lambda: database.engine)


def _age(database: DatabaseManager, column: str, seconds: float) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            update(performance_alerts).values(**{column: datetime.now(UTC) - timedelta(seconds=seconds)})
        )


def test_ten_processes_make_one_alert_with_a_true_count(open_database: Open) -> None:
    """The same finding of ten processes is one row that occurred ten times."""
    alerts = _alerts(open_database())
    for _ in range(10):
        AlertRaiser(_slow_process(), alerts)()
    (row,) = alerts.list()
    assert (row["alert_type"], row["endpoint"], row["occurrence_count"]) == (SLOW, "orders", 10)
    assert (row["severity"], row["threshold_value"], row["title"]) == ("medium", 1000, "orders: p95 of 2000 ms")


def test_failing_requests_and_the_database_have_words_of_their_own(open_database: Open) -> None:
    """Titles and severities say what is wrong, and how badly."""
    alerts = _alerts(open_database())
    monitor = PerformanceMonitor(latency_threshold_ms=1000, error_rate_threshold=0.05)
    for _ in range(20):
        monitor.observe("", 500, 0.1)
        monitor.observe_statement("SELECT 1", 1.5)
    AlertRaiser(monitor, alerts)()
    rows = {row["alert_type"]: row for row in alerts.list()}
    assert rows["failing-endpoint"]["title"] == "requests without an endpoint: 100% of the requests failed"
    assert rows["failing-endpoint"]["severity"] == "high"
    assert rows["slow-database"]["title"] == "database: p95 of 1500 ms"
    assert rows["slow-database"]["service_name"] == "database"


def test_alert_is_resolved_by_its_age_alone(open_database: Open) -> None:
    """A process with good figures resolves nothing; the fleet's job resolves what is two intervals old."""
    database = open_database()
    alerts = _alerts(database)
    AlertRaiser(_slow_process(), alerts)()
    AlertRaiser(_slow_process(0.001), alerts)()
    _age(database, "last_occurrence", 100)
    assert resolve_alerts(alerts, interval_seconds=60) == 0
    _age(database, "last_occurrence", 130)
    assert resolve_alerts(alerts, interval_seconds=60) == 1
    assert [row["status"] for row in alerts.list()] == ["resolved"]


def test_resolved_alert_is_raised_as_a_new_one(open_database: Open) -> None:
    """After a resolution the same finding makes a second row."""
    alerts = _alerts(open_database())
    AlertRaiser(_slow_process(), alerts)()
    alerts.resolve(int(alerts.list()[0]["id"]))
    AlertRaiser(_slow_process(), alerts)()
    assert sorted(row["status"] for row in alerts.list()) == ["active", "resolved"]


class _Away:
    """Alerts whose database is away at first."""

    def __init__(self, inner: Alerts) -> None:
        self._inner, self.away = inner, True

    def raise_alert(self, alert_type: str, **values: object) -> bool:
        """Fail while it is away."""
        if self.away:
            raise ConnectionError("away")
        return self._inner.raise_alert(alert_type, **values)  # type: ignore[arg-type] # passed on

    def resolve_stale(self, alert_type: str, older_than_seconds: float) -> int:
        """Pass on."""
        return self._inner.resolve_stale(alert_type, older_than_seconds)


def test_finding_outlives_an_outage_of_the_database(open_database: Open) -> None:
    """What could not be raised is raised with the next interval, once."""
    alerts = _alerts(open_database())
    away = _Away(alerts)
    raiser = AlertRaiser(_slow_process(), away)
    with pytest.raises(ConnectionError):
        raiser()
    away.away = False
    raiser()
    raiser()
    assert [row["occurrence_count"] for row in alerts.list()] == [1]


def test_findings_that_no_database_takes_are_bounded(
    open_database: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """During a long outage the oldest findings go, and a line says how many."""
    monkeypatch.setattr("settings.workers.builtin.MOST_PENDING", 3)
    monitor = PerformanceMonitor(latency_threshold_ms=1000, error_rate_threshold=0.05)
    away = _Away(_alerts(open_database()))
    raiser = AlertRaiser(monitor, away)
    for number in range(5):
        for _ in range(20):
            monitor.observe(f"orders-{number}", 200, 2)
        with pytest.raises(ConnectionError):
            raiser()
    assert [message.partition(":")[0] for message in caplog.messages] == ["The oldest 1 findings are dropped"] * 2
    away.away = False
    raiser()
    assert {row["endpoint"] for row in _alerts(open_database()).list()} == {"orders-2", "orders-3", "orders-4"}


def test_failing_look_does_not_come_more_seldom(make_workers: MakeWorkers, open_database: Open) -> None:
    """An outage of the database fails it again and again; it is still there each interval, not an hour later."""
    database, looked = open_database(), list[int]()

    def look() -> None:
        looked.append(1)
        raise ConnectionError("away")

    workers = make_workers()
    register_builtin(
        workers,
        WorkersSettings(health_interval=0.05),
        look=look,
        monitor=_slow_process(),
        alerts=_alerts(database),
        retention=Retention(lambda: database.engine),
    )
    workers.start()
    # doubled each time, the tenth would come after 12 s
    wait_until(lambda: len(looked) >= 10, seconds=6)


def test_clean_deletes_old_alerts_and_reports(open_database: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Resolved alerts beyond their days go, in as many batches as it takes; active ones stay."""
    caplog.set_level("INFO")
    database = open_database()
    alerts, retention = _alerts(database), Retention(lambda: database.engine)
    AlertRaiser(_slow_process(), alerts)()
    assert clean(retention, alert_days=30)["performance_alerts"] == 0
    alerts.resolve(int(alerts.list()[0]["id"]))
    _age(database, "resolved_at", 31 * 86400)
    assert clean(retention, alert_days=30)["performance_alerts"] == 1
    assert [each.getMessage() for each in caplog.records if "Deleted" in each.getMessage()] == [
        "Deleted old rows: 1 of performance_alerts"
    ]


def test_builtin_jobs_run(make_workers: MakeWorkers, open_database: Open, tmp_path: Path) -> None:
    """All four are registered under their names with the intervals of the settings, and run."""
    database, looked = open_database(), []
    workers = make_workers()
    settings = WorkersSettings(health_interval=0.1, performance_interval=0.1, cleanup_interval=0.2)
    register_builtin(
        workers,
        settings,
        look=lambda: looked.append(1),
        monitor=_slow_process(),
        alerts=_alerts(database),
        retention=Retention(lambda: database.engine),
    )
    assert [(job.name, job.schedule, job.once) for job in workers.jobs()] == [
        ("health", "every 0.1 s", False),
        ("performance", "every 0.1 s", False),
        ("resolve-alerts", "every 0.1 s", True),
        ("cleanup", "every 0.2 s", True),
    ]
    workers.start()
    wait_until(lambda: looked != [] and all(job.last_outcome == "ok" for job in workers.jobs()))
    # raised once, then not again for two intervals
    wait_until(lambda: [row["status"] for row in _alerts(database).list()] == ["resolved"])
