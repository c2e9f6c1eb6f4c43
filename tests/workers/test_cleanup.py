"""What the fleet's tidying says and adds up."""

from collections.abc import Mapping

import pytest

from settings.workers.cleanup import clean, resolve_alerts


class _Rows:
    """Says how many rows were old."""

    def delete_resolved_alerts(self, days: int) -> int:
        """Find a row a day."""
        return days

    def run(self) -> Mapping[str, int]:
        """Find rows of one table only."""
        return {"worker_runs": 2, "visits": 0}


class _Stale:
    """Notes what it is asked to resolve."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def resolve_stale(self, alert_type: str, older_than_seconds: float) -> int:
        """Resolve one of each type."""
        self.asked.append((alert_type, older_than_seconds))
        return 1


def test_every_table_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """The result holds each table, the log only those of which rows went."""
    caplog.set_level("INFO")
    assert clean(_Rows(), alert_days=3) == {"performance_alerts": 3, "worker_runs": 2, "visits": 0}
    assert caplog.messages == ["Deleted old rows: 3 of performance_alerts, 2 of worker_runs"]


def test_every_type_of_alert_grows_stale_after_two_intervals(caplog: pytest.LogCaptureFixture) -> None:
    """Each type that the monitor raises is resolved, and none of another origin."""
    caplog.set_level("INFO")
    stale = _Stale()
    assert resolve_alerts(stale, interval_seconds=60) == 3
    assert stale.asked == [("slow-endpoint", 120), ("failing-endpoint", 120), ("slow-database", 120)]
    assert caplog.messages == ["Resolved 3 alerts that were not raised again for 120 s"]
