"""An outage of the claims is said once, however many jobs wait."""

import logging

import pytest

from settings.workers.claiming import ClaimsWatch


def test_outage_is_said_once_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    """Five failures are one warning with cause and fix, and the first answer is one line with the time."""
    caplog.set_level(logging.INFO)
    now = [10.0]
    watch = ClaimsWatch(lambda: now[0])
    watch.answered()
    for _ in range(5):
        assert watch.lost(ConnectionError("postgresql://app:hidden@db refused")).code == "worker-claims-unavailable"
    assert watch.diagnosis is not None
    assert watch.failures == 5
    now[0] = 13.5
    watch.answered()
    watch.answered()
    assert watch.diagnosis is None
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("Workers wait: the database that holds the claims does not answer")
    assert "hidden" not in caplog.text
    assert caplog.messages[1] == "Workers go on: the claims answer again after 3.5 s"


def test_child_of_a_fork_knows_of_no_outage() -> None:
    """A forked process finds out for itself."""
    watch = ClaimsWatch(lambda: 0.0)
    watch.lost(ConnectionError())
    watch.after_fork_in_child()
    assert (watch.diagnosis, watch.failures) == (None, 0)
