"""The jobs that every service has: look at its health, watch its requests, tidy up."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from settings.workers.cleanup import RetentionLike, StaleAlerts, clean, resolve_alerts
from settings.workers.model import WorkersSettings
from settings.workers.performance import FAILING, Finding, PerformanceMonitor
from settings.workers.scheduler import Workers

log = logging.getLogger(__name__)

HEALTH = "health"
"""The job that looks at the services and writes the snapshot."""
MOST_PENDING = 1000


class AlertsLike(StaleAlerts, Protocol):
    """Raises and resolves alerts, for all processes together."""

    def raise_alert(
        self,
        alert_type: str,
        *,
        severity: str,
        title: str,
        description: str = "",
        endpoint: str = "",
        service_name: str = "",
        metric_value: float | None = None,
        threshold_value: float | None = None,
    ) -> bool:
        """Raise an alert, or raise it again; say whether it is new."""


class AlertRaiser:
    """Turns the findings of this process into alerts; what could not be raised is raised the next time.

    Args:
        monitor: Finds what exceeded its limit.
        alerts: Where the findings go.
    """

    def __init__(self, monitor: PerformanceMonitor, alerts: AlertsLike) -> None:
        self._monitor, self._alerts = monitor, alerts
        self._pending: deque[Finding] = deque()

    def __call__(self) -> None:
        """Raise an alert for each finding of the interval that ends now."""
        self._pending.extend(self._monitor.findings())
        if (lost := len(self._pending) - MOST_PENDING) > 0:
            log.warning("The oldest %d findings are dropped: their alerts could not be raised for too long", lost)
            for _ in range(lost):
                self._pending.popleft()
        while self._pending:
            self._raise(self._pending[0])
            self._pending.popleft()

    def _raise(self, found: Finding) -> None:
        kind = "statements" if found.service_name else "requests"
        self._alerts.raise_alert(
            found.alert_type,
            severity="high" if found.value > 2 * found.limit else "medium",
            title=_title(found),
            description=f"{found.calls} {kind} of one process in one interval; the limit is {found.limit:g}",
            endpoint=found.endpoint,
            service_name=found.service_name,
            metric_value=found.value,
            threshold_value=found.limit,
        )


def _title(found: Finding) -> str:
    subject = found.service_name or found.endpoint or "requests without an endpoint"
    if found.alert_type == FAILING:
        return f"{subject}: {found.value:.0%} of the requests failed"
    return f"{subject}: p95 of {found.value:.0f} ms"


def register_builtin(
    workers: Workers,
    settings: WorkersSettings,
    *,
    look: Callable[[], object],
    monitor: PerformanceMonitor,
    alerts: AlertsLike,
    retention: RetentionLike,
) -> None:
    """Register the jobs `health`, `performance`, `resolve-alerts` and `cleanup`.

    The first two run in each process, about which they report; the others once per fleet. None of them rests longer
    after failures: they fail while the database is away, and are wanted as soon as it is back.

    Args:
        workers: Where they are registered.
        settings: Their intervals.
        look: Asks every service and writes down what this process has to say of itself.
        monitor: Counts this process's requests.
        alerts: Where findings go.
        retention: What the cleanup deletes.
    """

    def resolve() -> None:
        resolve_alerts(alerts, interval_seconds=settings.performance_interval)

    def cleanup() -> None:
        clean(retention, alert_days=settings.alert_retention_days)

    often, seldom = settings.performance_interval, settings.cleanup_interval
    raiser = AlertRaiser(monitor, alerts)
    workers.worker(look, every=settings.health_interval, name=HEALTH, once=False, first=0.0, backoff=False)
    workers.worker(raiser, every=often, name="performance", once=False, backoff=False)
    workers.worker(resolve, every=often, name="resolve-alerts", backoff=False)
    workers.worker(cleanup, every=seldom, name="cleanup", backoff=False)
