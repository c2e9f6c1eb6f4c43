"""The one attempt of `check --connect`."""

import threading

import pytest

from settings.probe import HealthStatus
from settings.websocket.model import WebSocketSettings
from settings.websocket.trial import try_gateway
from tests.websocket.gateway import Gateway, RawGateway, silent, status, wait_until


def test_a_gateway_that_answers_is_healthy_and_left_again(gateway: Gateway) -> None:
    """One handshake, one farewell, no thread left."""
    before = threading.active_count()
    reading = try_gateway(WebSocketSettings.model_validate({"url": gateway.url + "/events?token=abcdefgh"}))
    assert (reading.status, reading.detail) == (HealthStatus.HEALTHY, f"{gateway.url}/events: connected")
    assert len(gateway.attempts) == 1
    wait_until(lambda: threading.active_count() <= before)


def test_a_gateway_that_refuses_is_diagnosed() -> None:
    """Cause and fix come with the reading."""
    with RawGateway(status("401 Unauthorized")) as gateway:
        reading = try_gateway(WebSocketSettings.model_validate({"url": gateway.url}))
    assert (reading.status, reading.code) == (HealthStatus.UNHEALTHY, "websocket-unauthorized")
    assert reading.cause
    assert reading.fix


def test_a_silent_gateway_costs_the_time_out() -> None:
    """The attempt is bounded by WS_CONNECT_TIMEOUT."""
    with RawGateway(silent) as gateway:
        reading = try_gateway(WebSocketSettings.model_validate({"url": gateway.url, "connect_timeout": 0.2}))
    assert reading.code == "websocket-timeout"


@pytest.mark.parametrize(("url", "enabled"), [(None, True), ("ws://127.0.0.1:9", False)], ids=["no URL", "off"])
def test_where_it_is_switched_off_nothing_is_tried(url: str | None, enabled: bool) -> None:
    """No URL, or WS_ENABLED=false."""
    reading = try_gateway(WebSocketSettings.model_validate({"url": url, "enabled": enabled}))
    assert reading.status is HealthStatus.DISABLED
