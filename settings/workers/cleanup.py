"""What the fleet tidies up once for all its processes: alerts that are over, rows that are old."""

import logging
from collections.abc import Mapping
from typing import Protocol

from settings.workers.performance import ALERT_TYPES

log = logging.getLogger(__name__)

STALE_INTERVALS = 2


class StaleAlerts(Protocol):
    """Resolves alerts, for all processes together."""

    def resolve_stale(self, alert_type: str, older_than_seconds: float) -> int:
        """Resolve the alerts of a type that were not raised again for so long, and return how many."""


class RetentionLike(Protocol):
    """Deletes what is old."""

    def delete_resolved_alerts(self, days: int) -> int:
        """Delete alerts that were resolved more than `days` ago, and return how many."""

    def run(self) -> Mapping[str, int]:
        """Delete what the other rules name, and return the rows by table."""


def resolve_alerts(alerts: StaleAlerts, *, interval_seconds: float) -> int:
    """Resolve what no process has raised for two intervals, and return how many; never by one's own good figures."""
    resolved = sum(alerts.resolve_stale(each, STALE_INTERVALS * interval_seconds) for each in ALERT_TYPES)
    if resolved:
        log.info("Resolved %d alerts that were not raised again for %g s", resolved, STALE_INTERVALS * interval_seconds)
    return resolved


def clean(retention: RetentionLike, *, alert_days: int) -> Mapping[str, int]:
    """Delete what is older than its rule allows, and return the rows by table."""
    deleted = {"performance_alerts": retention.delete_resolved_alerts(alert_days), **retention.run()}
    if rows := {table: number for table, number in deleted.items() if number}:
        log.info("Deleted old rows: %s", ", ".join(f"{number} of {table}" for table, number in rows.items()))
    return deleted
