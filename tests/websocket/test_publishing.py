"""What the service tells the gateway about itself."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from settings.probe import HealthStatus
from settings.websocket.publishing import Publisher
from tests.websocket.clients import Make
from tests.websocket.gateway import Gateway, wait_until


@dataclass(frozen=True)
class Health:
    """How one service is."""

    name: str
    status: HealthStatus
    detail: str = ""
    code: str = ""
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Transition:
    """One change."""

    before: Health
    after: Health


LOST = Transition(
    Health("cache", HealthStatus.HEALTHY),
    Health("cache", HealthStatus.FALLBACK, "memory", "redis-refused", "nothing listens", "start Redis"),
)


def test_a_change_of_health_is_an_event(make: Make, gateway: Gateway) -> None:
    """Service, both statuses, and cause and fix."""
    client = make(gateway.url)
    client.start()
    Publisher(client).health_changed(LOST)
    wait_until(lambda: gateway.messages)
    assert gateway.messages[0]["event"] == "health.changed"
    assert gateway.payloads() == [
        {
            "service": "cache",
            "status": "fallback",
            "previous": "healthy",
            "detail": "memory",
            "code": "redis-refused",
            "cause": "nothing listens",
            "fix": "start Redis",
        }
    ]


def test_a_new_alert_is_an_event_with_its_columns(make: Make, gateway: Gateway) -> None:
    """Whatever a database gives as a column's value becomes JSON."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    row = {
        "id": 7, "alert_type": "latency", "first_occurrence": moment, "metric_value": Decimal("1.5"),
        "alert_metadata": {"p95": 2.0}, "resolved_at": None, "status": HealthStatus.UNKNOWN,
    }  # fmt: skip
    client = make(gateway.url)
    client.start()
    Publisher(client).alert_raised(row)
    wait_until(lambda: gateway.messages)
    assert gateway.messages[0]["event"] == "alert.raised"
    assert gateway.payloads() == [
        {
            "id": 7, "alert_type": "latency", "first_occurrence": "2026-01-02T03:04:05+00:00", "metric_value": "1.5",
            "alert_metadata": {"p95": 2.0}, "resolved_at": None, "status": "unknown",
        }
    ]  # fmt: skip
    assert json.dumps(gateway.messages)


def test_without_a_gateway_nothing_is_counted(make: Make) -> None:
    """A service without WS_URL drops no events, because it has none."""
    client = make(None)
    Publisher(client).health_changed(LOST)
    Publisher(client).alert_raised({"id": 1})
    assert client.figures()["calls"] == 0
