"""Pauses between attempts: exponential, with full jitter, under a deadline, interruptible."""

import random
import time
from collections.abc import Callable, Iterator
from itertools import count
from threading import Event


def ceiling_seconds(first: float, cap: float, n: int) -> float:
    """Return the longest pause before retry number `n` (0 is the first), in seconds.

    The exponent is held at 62, so that an endless series of retries never overflows a float.
    """
    return float(min(cap, first * 2 ** min(n, 62)))


def backoff_seconds(
    *, first: float, cap: float, retries: int | None = None, jitter: Callable[[], float] = random.random
) -> Iterator[float]:
    """Yield the pause before each retry, in seconds.

    Pauses double up to `cap` and are scaled by `jitter`, so that many processes do not return in step
    ("full jitter", M. Brooker, AWS Architecture Blog, 2015).

    Args:
        first: Ceiling of the first pause, in seconds.
        cap: Ceiling of every pause, in seconds.
        retries: Pauses yielded; None yields without end.
        jitter: Factors in [0, 1); tests pass `lambda: 1.0`.
    """
    for n in count() if retries is None else range(retries):
        yield ceiling_seconds(first, cap, n) * jitter()


class Deadline:
    """A moment on a monotonic clock after which no further attempt is made.

    Args:
        seconds: How long from now; 0 or less has passed already.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """Return the seconds until the deadline, never less than 0."""
        return max(0.0, self._at - self._clock())

    def allows(self, pause: float) -> bool:
        """Say whether an attempt after `pause` seconds would still begin before the deadline."""
        return pause < self.left()


def pause_before_retry(pause: float, deadline: Deadline, stop: Event) -> bool:
    """Wait `pause` seconds and say whether another attempt should be made.

    Returns False at once when the deadline would have passed, and as soon as `stop` is set, so that a
    process that is told to end never sleeps on.
    """
    return deadline.allows(pause) and not stop.wait(pause)
