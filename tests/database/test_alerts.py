"""Alerts are raised by upsert: many processes make one row and a true count, on both dialects."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from settings.database.alerts import Alerts
from settings.database.migrations import MigrationManager
from settings.database.tables import performance_alerts


@pytest.fixture
def alerts(engine: Engine) -> Alerts:
    """Alerts on that database."""
    return Alerts(lambda: engine)


def test_the_first_raise_is_new_and_the_others_count(alerts: Alerts) -> None:
    """One row for a type, service and endpoint, with the last values and the number of raises."""
    told: list[str] = []
    alerts.subscribe(lambda row: told.append(row["title"]))
    assert alerts.raise_alert("latency", severity="low", title="First", metric_value=1.5, metadata={"a": [1]})
    assert not alerts.raise_alert("latency", severity="high", title="Second", metric_value=2.5)
    (row,) = alerts.list()
    assert (row["title"], row["severity"], row["occurrence_count"], row["metric_value"]) == ("Second", "high", 2, 2.5)
    assert row["first_occurrence"] < row["last_occurrence"]
    assert row["first_occurrence"].utcoffset().total_seconds() == 0
    assert told == ["First"]


def test_another_endpoint_or_service_is_another_alert(alerts: Alerts) -> None:
    """The key is type, service and endpoint."""
    for endpoint, service in (("", ""), ("/a", ""), ("", "s"), ("/a", "s")):
        assert alerts.raise_alert("latency", severity="low", title="T", endpoint=endpoint, service_name=service)
    assert len(alerts.list()) == 4


def test_an_acknowledged_alert_still_counts_and_a_resolved_one_does_not(alerts: Alerts) -> None:
    """While it is open it is the same alert; after that a raise makes a new one."""
    alerts.raise_alert("latency", severity="low", title="T")
    number = alerts.list()[0]["id"]
    assert alerts.acknowledge(number, "ada")
    assert not alerts.acknowledge(number, "bob")
    assert not alerts.raise_alert("latency", severity="low", title="T")
    assert [row["acknowledged_by"] for row in alerts.list("acknowledged")] == ["ada"]
    assert alerts.resolve(number)
    assert not alerts.resolve(number)
    assert alerts.list("open") == []
    assert alerts.list("resolved")[0]["resolved_at"] is not None
    assert alerts.raise_alert("latency", severity="low", title="T")
    assert len(alerts.list()) == 2
    assert alerts.list(limit=1)[0]["status"] == "active"


def test_only_stale_alerts_are_resolved(engine: Engine, alerts: Alerts) -> None:
    """What was raised again lately, and what is of another type, stays open."""
    for kind, endpoint in (("latency", "/old"), ("latency", "/new"), ("errors", "/old")):
        alerts.raise_alert(kind, severity="low", title="T", endpoint=endpoint)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE performance_alerts SET last_occurrence = '2020-01-01 00:00:00.000000' WHERE endpoint = '/old'")
        )
    assert alerts.resolve_stale("latency", 120) == 1
    assert {(row["alert_type"], row["endpoint"]) for row in alerts.list("open")} == {
        ("latency", "/new"),
        ("errors", "/old"),
    }


def test_ten_raisers_at_once_make_one_row_and_a_true_count(engine: Engine, open_database: Callable[..., Any]) -> None:
    """Ten engines, as of ten processes, raise one alert twenty times each: one row, 200 occurrences, one news."""
    url = engine.url.render_as_string(hide_password=False)
    engines = [open_database(url=url).engine for _ in range(10)]

    def raise_often(own: Engine) -> int:
        return sum(Alerts(lambda: own).raise_alert("latency", severity="low", title="T") for _ in range(20))

    with ThreadPoolExecutor(10) as threads:
        assert sum(threads.map(raise_often, engines)) == 1
    (row,) = Alerts(lambda: engine).list()
    assert row["occurrence_count"] == 200


def test_a_listener_that_fails_stops_nobody(alerts: Alerts, caplog: pytest.LogCaptureFixture) -> None:
    """Its failure is logged, the next listener is told, and the alert is there."""
    told: list[object] = []
    alerts.subscribe(lambda row: row["nothing"])
    alerts.subscribe(told.append)
    assert alerts.raise_alert("latency", severity="low", title="T")
    assert len(told) == 1
    assert "KeyError" in caplog.text


def test_an_unknown_severity_is_refused(alerts: Alerts) -> None:
    """The error names the ones there are."""
    with pytest.raises(ValueError, match="'urgent' is none of low, medium, high, critical"):
        alerts.raise_alert("latency", severity="urgent", title="T")
    with pytest.raises(ValueError, match="'odd' is none of open, active, acknowledged, resolved"):
        alerts.list("odd")


def test_a_stricter_isolation_by_default_loses_no_raise(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """Six processes raise one alert at once, where the server's default is SERIALIZABLE: none of them fails."""
    url = f"{postgres_url}?options=-c default_transaction_isolation=serializable"
    MigrationManager(open_database(url=url).engine).ensure_tables_exist()

    def process(number: int) -> None:
        engine = open_database(url=url).engine
        for _ in range(10):
            Alerts(lambda: engine).raise_alert("latency", severity="low", title=f"of {number}")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(process, range(6)))
    engine = open_database(url=url).engine
    assert [row["occurrence_count"] for row in Alerts(lambda: engine).list()] == [60]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=400), number=st.floats() | st.none())
def test_any_text_and_number_can_be_raised(alerts: Alerts, words: str, number: float | None) -> None:
    """Too long texts are cut, and what a database cannot hold is replaced: raising never fails for its words."""
    alerts.raise_alert(
        words, severity="low", title=words, description=words, endpoint=words, service_name=words,
        metric_value=number, threshold_value=number, metadata={words: [words, number]},
    )  # fmt: skip
    assert len(alerts.list(limit=1)[0]["title"]) <= 255


BAD = [
    {"severity": "urgent"}, {"status": "odd"}, {"occurrence_count": 0}, {"title": "x" * 256}, {"alert_type": "x" * 51},
    {"title": None}, {"alert_type": None}, {"endpoint": None}, {"service_name": None}, {"endpoint": "x" * 256},
]  # fmt: skip


@pytest.mark.parametrize("values", BAD, ids=lambda values: "-".join(values))
def test_bad_values_are_refused_alike(engine: Engine, values: dict[str, object]) -> None:
    """Both dialects refuse what the definition does not allow."""
    from sqlalchemy.exc import DBAPIError

    good = {"alert_type": "t", "severity": "low", "title": "T"}
    with engine.begin() as connection:
        connection.execute(performance_alerts.insert().values(good))
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(performance_alerts.insert().values({**good, "endpoint": "/x", **values}))
