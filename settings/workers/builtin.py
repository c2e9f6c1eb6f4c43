"""The jobs that every service has: look at its health, watch its requests, tidy up."""

from collections.abc import Callable, Mapping
from typing import Protocol

from settings.workers.model import WorkersSettings
from settings.workers.performance import FAILING, SLOW, Finding, PerformanceMonitor
from settings.workers.scheduler import Workers

STALE_INTERVALS = 2


class AlertsLike(Protocol):
    """Raises and resolves alerts, for all processes together."""

    def raise_alert(
        self,
        alert_type: str,
        *,
        severity: str,
        title: str,
        description: str = "",
        endpoint: str = "",
        metric_value: float | None = None,
        threshold_value: float | None = None,
    ) -> bool:
        """Raise an alert, or raise it again; say whether it is new."""

    def resolve_stale(self, alert_type: str, older_than_seconds: float) -> int:
        """Resolve the alerts of a type that were not raised again for so long, and return how many."""


class RetentionLike(Protocol):
    """Deletes what is old."""

    def delete_resolved_alerts(self, days: int) -> int:
        """Delete alerts that were resolved more than `days` ago, and return how many."""

    def run(self) -> Mapping[str, int]:
        """Delete what the other rules name, and return the rows by table."""


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

    The first two run in each process, about which they report; the others once per fleet.

    Args:
        workers: Where they are registered.
        settings: Their intervals.
        look: Asks every service and writes down what this process has to say of itself.
        monitor: Counts this process's requests.
        alerts: Where findings go.
        retention: What the cleanup deletes.
    """

    def performance() -> None:
        for finding in monitor.findings():
            _raise(alerts, finding)

    def resolve_alerts() -> None:
        for alert_type in (SLOW, FAILING):
            alerts.resolve_stale(alert_type, STALE_INTERVALS * settings.performance_interval)

    def cleanup() -> None:
        retention.delete_resolved_alerts(settings.alert_retention_days)
        retention.run()

    workers.worker(look, every=settings.health_interval, name="health", once=False, first=0.0)
    workers.worker(performance, every=settings.performance_interval, name="performance", once=False)
    workers.worker(resolve_alerts, every=settings.performance_interval, name="resolve-alerts")
    workers.worker(cleanup, every=settings.cleanup_interval, name="cleanup")


def _raise(alerts: AlertsLike, finding: Finding) -> None:
    far = finding.value > 2 * finding.limit
    if finding.alert_type == SLOW:
        title = f"{finding.endpoint or 'unknown endpoint'} is slow: p95 {finding.value:.0f} ms"
    else:
        title = f"{finding.endpoint or 'unknown endpoint'} fails: {finding.value:.0%} of its requests"
    alerts.raise_alert(
        finding.alert_type, severity="high" if far else "medium", title=title,
        description=f"{finding.requests} requests of one process in one interval; the limit is {finding.limit:g}",
        endpoint=finding.endpoint, metric_value=finding.value, threshold_value=finding.limit,
    )  # fmt: skip
