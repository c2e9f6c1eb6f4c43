"""What the service itself tells the gateway: changes of health, and new alerts."""

from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any, Protocol

from settings.probe import HealthStatus
from settings.websocket.client import WebSocketClient

HEALTH_CHANGED = "health.changed"
ALERT_RAISED = "alert.raised"


class Health(Protocol):
    """How one service is."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> HealthStatus:
        """How it is."""

    @property
    def detail(self) -> str:
        """What answers, masked."""

    @property
    def code(self) -> str:
        """Code of the fault."""

    @property
    def cause(self) -> str:
        """Cause of the fault."""

    @property
    def fix(self) -> str:
        """What a person should do."""


class Transition(Protocol):
    """One change of a service's status."""

    @property
    def before(self) -> Health:
        """How it was."""

    @property
    def after(self) -> Health:
        """How it is now."""


class Publisher:
    """Sends events about the service itself; without a gateway it does nothing. Never blocks, never raises.

    Args:
        client: The gateway.
    """

    def __init__(self, client: WebSocketClient) -> None:
        self._client = client

    def health_changed(self, change: Transition) -> None:
        """Send `health.changed`: service, status, previous status, detail, code, cause and fix."""
        after = change.after
        self._send(
            HEALTH_CHANGED,
            {
                "service": after.name,
                "status": after.status.value,
                "previous": change.before.status.value,
                "detail": after.detail,
                "code": after.code,
                "cause": after.cause,
                "fix": after.fix,
            },
        )

    def alert_raised(self, alert: Mapping[str, Any]) -> None:
        """Send `alert.raised` with the columns of the alert; times are ISO 8601."""
        self._send(ALERT_RAISED, {name: _plain(value) for name, value in alert.items()})

    def _send(self, event: str, payload: Mapping[str, object]) -> None:
        if self._client.enabled:
            self._client.send(event, payload)


def _plain(value: object) -> object:
    """Return a column's value as JSON knows it."""
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, str | int | float | bool | dict | list | None) else str(value)
