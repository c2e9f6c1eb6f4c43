"""One attempt to reach the gateway, for `check --connect`."""

import asyncio

from settings.probe import HealthStatus, Reading
from settings.websocket.diagnosis import diagnose
from settings.websocket.link import Door, Loop
from settings.websocket.model import WebSocketSettings
from settings.websocket.target import secrets_of, shown


def try_gateway(settings: WebSocketSettings) -> Reading:
    """Connect to the gateway once, say farewell, and return what came of it; never raises.

    Takes at most WS_CONNECT_TIMEOUT and a moment for the farewell, and leaves no thread behind. Without a
    gateway, or with WS_ENABLED=false, no socket is opened.
    """
    if settings.url is None or not settings.enabled:
        return Reading(HealthStatus.DISABLED, "WS_URL is not set" if settings.url is None else "WS_ENABLED is false")
    url = settings.url.get_secret_value()
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_come_and_go(Door(settings, url)))
    except Exception as error:  # noqa: BLE001 - whatever a network and its other side can do is diagnosed and shown
        fault = diagnose(error, secrets=secrets_of(settings))
        return Reading(HealthStatus.UNHEALTHY, shown(url), fault.code, fault.cause, fault.fix)
    return Reading(HealthStatus.HEALTHY, f"{shown(url)}: connected")


async def _come_and_go(door: Door) -> None:
    async with door.open():
        pass
