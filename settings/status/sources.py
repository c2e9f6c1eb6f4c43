"""What the pages show, and where it comes from: values and callables that the boot hands over."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from settings.probe import Fact

Setting = tuple[str, str, str, str]
"""Room, variable, masked value, and where the value came from."""


class AlertsLike(Protocol):
    """Lists and changes the rows of performance_alerts."""

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Any]:
        """Return alerts, those that came last first; each with the columns of the table as attributes or keys."""

    def acknowledge(self, alert_id: int, /, by: str) -> object:
        """Note that somebody looks after an alert."""

    def resolve(self, alert_id: int, /) -> object:
        """Note that the cause of an alert is gone."""


class NoAlerts:
    """There is no table of alerts."""

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Any]:
        """Return nothing."""
        del status, limit
        return []

    def acknowledge(self, alert_id: int, /, by: str) -> None:
        """Do nothing."""

    def resolve(self, alert_id: int, /) -> None:
        """Do nothing."""


def _nothing(*_: object) -> Sequence[Any]:
    return ()


def _never() -> bool:
    return False


def _no_figures() -> Mapping[str, Fact]:
    return {}


@dataclass(frozen=True, slots=True)
class StatusSources:
    """All that the pages, the metrics and the terminal know.

    What is marked "from memory" is called on the thread of a request and must not wait for a service. The
    others may: they are asked on a thread of their own, by one caller at a time, and a page never waits long.

    Attributes:
        app_name: APP_NAME.
        environment: APP_ENV; only in development may a caller without token change anything.
        services: Health by service, from memory: `ServiceHealthManager.check`. The database and the migrations
            (`register("migrations", …, critical=True)`) are among them: readiness is that of the critical ones.
        shutting_down: Whether the end of this process has begun, from memory.
        jobs: The jobs of this process, from memory: `Workers.jobs`.
        repeated_errors: The errors that this process saw most often, from memory: `Logs.repeated`.
        error_figures: Counts of seen, logged and suppressed errors, from memory: `Logs.figures`.
        alerts: `services.alerts`.
        run_history: Rows of worker_runs, for all processes: `Claims.history`.
        snapshots: Snapshots of all processes, given their greatest age in seconds: `Snapshots.read`.
        snapshot_seconds: How often a process writes its snapshot: WORKERS_HEALTH_INTERVAL.
        boot: Rows of the boot report, which may still grow.
        settings: Every setting with its origin, masked: `settings.example.rows`.
        process: The name of this process in its snapshots.
        started_at: When this process began to serve, in seconds since 1970.
    """

    app_name: str
    environment: str
    services: Callable[[], Mapping[str, Any]]
    shutting_down: Callable[[], bool] = _never
    jobs: Callable[[], Sequence[Any]] = _nothing
    repeated_errors: Callable[[int], Sequence[Any]] = _nothing
    error_figures: Callable[[], Mapping[str, Fact]] = _no_figures
    alerts: AlertsLike = field(default_factory=NoAlerts)
    run_history: Callable[[], Sequence[Mapping[str, Any]]] = _nothing
    snapshots: Callable[[float], Sequence[Any]] = _nothing
    snapshot_seconds: float = 30.0
    boot: Sequence[Any] = ()
    settings: Callable[[], Iterable[Setting]] = _nothing
    process: Callable[[], str] = lambda: f"{socket.gethostname()}:{os.getpid()}"
    started_at: Callable[[], float] = time.time
