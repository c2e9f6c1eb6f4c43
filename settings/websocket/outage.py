"""At most two lines in the log for an outage: one when it is given up, one when it is over, or needs a person."""

import logging
from collections.abc import Callable

from settings.problems import Diagnosis

logger = logging.getLogger(__name__)


class OutageLog:
    """Writes the lines of an outage, which lasts until a connection has held.

    A connection that opens and closes at once ends no outage, so a gateway that does so cannot fill the log.

    Args:
        target: The gateway, without anything secret.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, target: str, *, clock: Callable[[], float]) -> None:
        self._target, self._clock = target, clock
        self._began: float | None = None
        self._ended = 0.0
        self._failures = 0
        self._cause = ""
        self._said = self._said_never = False
        self._greeted = False

    def failed(self, diagnosis: Diagnosis) -> None:
        """Count a failed attempt, or a connection that ended."""
        if self._began is None:
            self._began = self._clock()
        self._failures += 1
        self._cause = diagnosis.cause

    def gave_up(self, diagnosis: Diagnosis, pause: float | None, queued: int) -> None:
        """Log the error of this outage, unless that has been done; once more when quiet probes end with it.

        Args:
            diagnosis: The last fault.
            pause: Seconds until the next quiet probe; None: never.
            queued: Events that wait.
        """
        never = pause is None
        if self._said and (self._said_never or not never):
            return
        self._said, self._said_never = True, never
        after = "not tried again before retry() is called" if never else f"tried again quietly every {pause:g} s"
        logger.error(
            "WS_URL (%s): unavailable after %d attempts: %s [%s]; %s; %d events wait. Fix: %s",
            self._target, self._failures, diagnosis.cause, diagnosis.code, after, queued, diagnosis.fix,
        )  # fmt: skip

    def opened(self) -> None:
        """Note a connection; the very first one is logged, where no outage came before."""
        self._ended = self._clock()
        if self._began is None and not self._greeted:
            logger.info("WebSocket connected to %s", self._target)
        self._greeted = True

    def over(self) -> None:
        """Log the end of an outage, now that a connection has held."""
        if self._began is not None:
            logger.info(
                "WebSocket connected to %s again, after %.1f s and %d failures: %s",
                self._target, self._ended - self._began, self._failures, self._cause,
            )  # fmt: skip
        self._began, self._failures, self._said, self._said_never = None, 0, False, False

    def renew(self) -> None:
        """Let a person who asked for another attempt read what becomes of it."""
        self._said = self._said_never = False
