"""The states of the connection and the laws between them: pure, no clock, no socket, no thread of its own."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from settings.backoff import ceiling_seconds


class State(StrEnum):
    """Where the connection stands."""

    DISABLED = "disabled"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    BACKING_OFF = "backing_off"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a gateway is tried; all durations in seconds.

    Attributes:
        max_retries: Attempts after the first, before giving up.
        retry_delay: Ceiling of the first pause, doubled each time.
        retry_max_delay: Ceiling of every pause, and what a connection must hold to clear the count.
        cooldown: Between quiet probes after giving up; 0: none.
    """

    max_retries: int
    retry_delay: float
    retry_max_delay: float
    cooldown: float


class Machine:
    """Says when to try again. Times are moments of any one monotonic clock, in seconds.

    Every attempt is `begin()`, then either `failed()`, or `opened()`, any number of `heard()` and, when the
    connection ends, `failed()`.

    Attributes:
        state: Where the connection stands.
        retries: Retries used up since the start, the last connection that held, or the last `renew()`.
    """

    def __init__(self, limits: Limits, *, jitter: Callable[[], float] = random.random) -> None:
        self._limits, self._jitter = limits, jitter
        self._opened_at = 0.0
        self.state = State.DISABLED
        self.retries = 0

    def renew(self) -> None:
        """Forget the retries used up, because the settings changed or a person asked."""
        self.retries = 0

    def begin(self) -> None:
        """Begin an attempt."""
        self.state = State.CONNECTING

    def opened(self, now: float) -> None:
        """Take note of a connection. The count is kept until it has held."""
        self.state, self._opened_at = State.CONNECTED, now

    def heard(self, now: float) -> bool:
        """Take note of a sign of life from the gateway, and return whether the connection has held.

        One that has gives all retries back. One that opens and is silent has not, however late that is noticed.
        """
        held = self.state is State.CONNECTED and now - self._opened_at > self._limits.retry_max_delay
        if held:
            self.retries = 0
        return held

    def failed(self, *, transient: bool, at_least: float = 0.0) -> float | None:
        """Return the seconds until the next attempt, or None when there is none until somebody asks for it.

        Args:
            transient: Whether the fault can pass by itself.
            at_least: Seconds that the gateway asked to be left alone (Retry-After).
        """
        if transient and self.retries < self._limits.max_retries:
            return self._back_off(at_least)
        self.state = State.UNAVAILABLE
        probed = transient and self._limits.cooldown > 0
        return max(self._limits.cooldown, at_least) if probed else None

    def _back_off(self, at_least: float) -> float:
        ceiling = ceiling_seconds(self._limits.retry_delay, self._limits.retry_max_delay, self.retries)
        self.state = State.BACKING_OFF
        self.retries += 1
        return at_least + ceiling * self._jitter()
