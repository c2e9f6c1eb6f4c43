"""Which process runs a job this time: what the scheduler asks of the claims, and how it bears their absence."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from settings.problems import Diagnosis
from settings.workers.diagnosis import described, diagnose

logger = logging.getLogger(__name__)


class ClaimLike(Protocol):
    """The right to run a job this time."""

    @property
    def lease_seconds(self) -> float:
        """How long the claim holds without a heartbeat, in seconds."""

    def heartbeat(self) -> bool:
        """Prolong the lease; False when it was lost to another process."""

    def finish(self, outcome: str, duration_seconds: float, error: str = "") -> None:
        """Give the claim back and record how the run went."""


class ClaimsLike(Protocol):
    """Claims of all processes of an application, on one clock."""

    def claim(self, job: str, *, every: float) -> ClaimLike | None:
        """Return the right to run `job` now, or None when it is not due or another process has it."""

    def claim_fire(self, job: str, *, fire: float, then: float, latest: float, every: float) -> ClaimLike | None:
        """Return the right to do the run of one moment of a crontab line, or None when it was done or runs.

        `then` is the moment after it, `latest` one that no claim goes beyond; all in seconds since 1970.
        """

    def take_over(self, job: str, *, every: float) -> ClaimLike | None:
        """Return the right to do a run again whose owner died, or None when there is none."""

    def lease_left(self, job: str) -> float | None:
        """Return the seconds until it is worth trying to take a run over; None when no run is open."""

    def next_in(self, job: str) -> float:
        """Return the seconds until it is worth asking again."""


class ClaimsWatch:
    """Notices when the claims cannot be reached, and says so once, however many jobs wait for them.

    Args:
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._diagnosis: Diagnosis | None = None
        self.failures = 0

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Why jobs wait now, or None while the claims answer."""
        return self._diagnosis

    def lost(self, error: BaseException) -> Diagnosis:
        """Count a failure; the first of an outage is logged."""
        diagnosis = diagnose("worker-claims-unavailable", error=described(error))
        with self._lock:
            self.failures += 1
            first, self._diagnosis = self._since is None, diagnosis
            if first:
                self._since = self._clock()
        if first:
            logger.warning("Workers wait: %s [%s]. Fix: %s", diagnosis.cause, diagnosis.code, diagnosis.fix)
        else:
            logger.debug("The claims of the workers still do not answer: %s", described(error))
        return diagnosis

    def answered(self) -> None:
        """Note that the claims answer; the end of an outage is logged."""
        if self._since is None:
            return
        with self._lock:
            since, self._since, self._diagnosis = self._since, None, None
        if since is not None:
            logger.info("Workers go on: the claims answer again after %.1f s", self._clock() - since)

    def after_fork_in_child(self) -> None:
        """Forget an outage of the parent's."""
        self._lock = threading.Lock()
        self._since = self._diagnosis = None
        self.failures = 0
