"""While a job runs, its lease is kept and its time limit watched."""

import logging
import threading
import time

import pytest

from settings.workers.runs import Watch
from tests.servers import wait_until
from tests.workers.conftest import no_more_threads, threads_named


class _Lease:
    """A claim whose heartbeats answer as told."""

    lease_seconds: float = 0.03

    def __init__(self, *answers: bool | Exception) -> None:
        self.beats, self._answers = 0, answers

    def heartbeat(self) -> bool:
        """Give the next answer, then the last one again and again."""
        answer = self._answers[min(self.beats, len(self._answers) - 1)]
        self.beats += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def finish(self, outcome: str, duration_seconds: float, error: str = "") -> None:
        """Be finished by nobody here."""


def test_lease_is_kept_while_the_block_runs() -> None:
    """Heartbeats come three times a lease and end with the block."""
    claim = _Lease(True)
    with Watch("job", claim=claim, timeout=None, on_overrun=lambda: None) as watch:
        wait_until(lambda: claim.beats >= 3)
    wait_until(lambda: threads_named("lease-") == [])
    assert not watch.lost


def test_lost_lease_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """When another process has the run, a warning says so and the heartbeats end."""
    claim = _Lease(True, False)
    with Watch("job", claim=claim, timeout=None, on_overrun=lambda: None) as watch:
        wait_until(lambda: watch.lost and threads_named("lease-") == [])
    assert claim.beats == 2
    assert caplog.messages == ["Worker job lost its lease while it runs; another process may run it too"]


def test_heartbeat_outlives_a_fault_of_the_database(caplog: pytest.LogCaptureFixture) -> None:
    """A beat that fails is one warning an outage, and the next one is tried."""
    caplog.set_level(logging.WARNING)
    claim = _Lease(ConnectionError("away"), ConnectionError("away"), True)
    with Watch("job", claim=claim, timeout=None, on_overrun=lambda: None) as watch:
        wait_until(lambda: claim.beats >= 4)
    assert not watch.lost
    assert caplog.messages == ["Worker job cannot prolong its lease: ConnectionError: away"]


def test_beat_that_failed_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fault the next beat does not wait for a third of the lease, so that the lease stays here."""
    monkeypatch.setattr("settings.workers.runs.BEAT_RETRY_SECONDS", 0.01)
    claim = _Lease(ConnectionError("away"), ConnectionError("away"), True)
    claim.lease_seconds = 1.5
    begin = time.monotonic()
    with Watch("job", claim=claim, timeout=None, on_overrun=lambda: None):
        wait_until(lambda: claim.beats == 3)
    assert 0.4 < time.monotonic() - begin < 1.45  # the first after half a second; the third would come after 1.5


def test_limit_is_reported_once() -> None:
    """Beyond its time limit the block is reported once; one that ends in time is not."""
    overran, reported = [], threading.Event()
    with Watch("fast", claim=None, timeout=30, on_overrun=lambda: overran.append("fast")) as fast:
        pass
    with Watch("slow", claim=None, timeout=0.02, on_overrun=reported.set) as slow:
        assert reported.wait(5)
    assert (fast.overran, overran, slow.overran) == (False, [], True)
    wait_until(lambda: threads_named("limit-") == [])


@pytest.mark.parametrize("refused", ["lease-", "limit-"])
def test_watch_that_cannot_begin_leaves_nothing(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no more threads can be had, none of its own goes on to keep the lease for ever."""
    no_more_threads(monkeypatch, refused)
    claim = _Lease(True)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Watch("job", claim=claim, timeout=30, on_overrun=lambda: None).__enter__()
    wait_until(lambda: threads_named("lease-", "limit-") == [])
