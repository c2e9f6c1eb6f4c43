"""The client's own deadline: a thread that cuts off an operation which has waited for too long.

libpq has no read deadline, and neither statement_timeout nor TCP keepalives end a wait on a server that is frozen while
its kernel still acknowledges; shutting the socket from another thread does.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Protocol

from settings.forks import watch_forks

log = logging.getLogger(__name__)
LINGER_SECONDS = 5.0


class Link(Protocol):
    """Something that a running operation waits on."""

    def cut(self) -> None:
        """Make the operation that waits on this fail at once."""


class Watchdog:
    """Cuts each watched operation that outlives its deadline; thread-safe.

    Its thread starts with the first operation under a deadline and ends when there was none for a while. It sleeps
    until the earliest deadline, so that a stream of short operations neither wakes it nor costs it anything.

    Args:
        seconds: The deadline of every operation; 0 sets none but those of `within`.
        clock: Monotonic clock, in seconds.

    Attributes:
        expired: Operations cut so far.
    """

    def __init__(self, seconds: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds or inf
        self._clock = clock
        self._budget = threading.local()
        self.expired = 0
        self._armed: dict[int, tuple[float, Link]] = {}
        self._thread: threading.Thread | None = None
        self._wakes_at = inf
        self._changed = threading.Condition(threading.Lock())
        watch_forks(self)

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """Let all operations of this thread in the with block end `seconds` from now, together; None sets no limit."""
        earlier = getattr(self._budget, "until", inf)
        self._budget.until = inf if seconds is None else min(earlier, self._clock() + seconds)
        try:
            yield
        finally:
            self._budget.until = earlier

    def allowed(self) -> float:
        """Return the seconds that an operation beginning now in this thread may take; infinite without a deadline."""
        until: float = getattr(self._budget, "until", inf)
        return self._seconds if until == inf else max(0.0, min(self._seconds, until - self._clock()))

    def arm(self, link: Link, seconds: float) -> None:
        """Cut `link` in `seconds` unless `disarm` comes first; a link has one operation at a time."""
        at = self._clock() + seconds
        with self._changed:
            self._armed[id(link)] = (at, link)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-deadline", daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._changed.notify()

    def disarm(self, link: Link) -> bool:
        """End the watch over `link` and say whether it was cut."""
        with self._changed:
            return self._armed.pop(id(link), None) is None

    def is_watching(self) -> bool:
        """Say whether the thread is there; it ends when there was nothing to watch for a while."""
        return self._thread is not None

    def before_fork(self) -> None:
        """Take the lock."""
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread and the operations are the parent's."""
        self._changed = threading.Condition(threading.Lock())
        self._armed, self._thread, self._wakes_at = {}, None, inf

    def _run(self) -> None:
        with self._changed:
            while self._cut_due() or self._rest():
                continue
            self._thread = None

    def _cut_due(self) -> bool:
        now = self._clock()
        due = [(key, link) for key, (at, link) in self._armed.items() if at <= now]
        for key, link in due:
            del self._armed[key]
            self.expired += 1
            try:
                link.cut()
            except Exception:  # one that cannot be cut must not end the watch over the others
                log.exception("An operation that outlived its deadline could not be cut off.")
        return bool(due)

    def _rest(self) -> bool:
        """Sleep until the next deadline or a nearer one is set; False when there was nothing to watch for long."""
        now = self._clock()
        nearest = min((at for at, _ in self._armed.values()), default=None)
        # While nothing is watched, no later deadline is nearer than this without a notice from `arm`.
        self._wakes_at = now + min(LINGER_SECONDS, self._seconds) if nearest is None else nearest
        noticed = self._changed.wait(self._wakes_at - now)
        return noticed or nearest is not None or bool(self._armed)
