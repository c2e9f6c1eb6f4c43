"""The client's own deadline: a thread that cuts off an operation which has waited for too long.

libpq has no read deadline, and neither statement_timeout nor TCP keepalives end a wait on a server that is frozen while
its kernel still acknowledges; shutting the socket from another thread does.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from math import inf
from queue import Empty, SimpleQueue
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

    It holds no lock: the garbage collector may end a leaked connection in the midst of any line here, on any thread,
    and that end is an operation under a deadline too. Each change is one step of a dictionary or of a queue.

    Args:
        seconds: The deadline of every operation; 0 sets none but those of `within`.
        clock: Monotonic clock, in seconds.

    Attributes:
        expired: Operations cut so far.
    """

    _armed: dict[int, tuple[float, Link]]
    _numbered: dict[int, int]
    _notices: "SimpleQueue[None]"
    _thread: threading.Thread | None
    _cutting: Link | None

    def __init__(self, seconds: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds or inf
        self._clock = clock
        self._here = threading.local()
        self._numbers = count(1)
        self.expired = 0
        self._begin_anew()
        watch_forks(self)

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """Let all operations of this thread in the with block end `seconds` from now, together; None sets no limit."""
        earlier = getattr(self._here, "until", inf)
        self._here.until = inf if seconds is None else min(earlier, self._clock() + seconds)
        try:
            yield
        finally:
            self._here.until = earlier

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Let no operation of this thread in the with block have a deadline but that of `within`."""
        earlier = getattr(self._here, "seconds", self._seconds)
        self._here.seconds = inf
        try:
            yield
        finally:
            self._here.seconds = earlier

    def allowed(self) -> float:
        """Return the seconds that an operation beginning now in this thread may take; infinite without a deadline."""
        until: float = getattr(self._here, "until", inf)
        seconds: float = getattr(self._here, "seconds", self._seconds)
        return seconds if until == inf else max(0.0, min(seconds, until - self._clock()))

    def arm(self, link: Link, seconds: float) -> None:
        """Cut `link` in `seconds` unless `disarm` comes first; a link has one operation at a time.

        On the watchdog's own thread, where only the garbage collector begins one, it is cut at once: nobody would
        watch over the wait for its answer.
        """
        if getattr(self._here, "watches", False):
            return _cut(link)
        at, number = self._clock() + seconds, next(self._numbers)
        self._numbered[id(link)] = number
        self._armed[number] = (at, link)
        if self._thread is None:
            self._start()
        elif at < self._wakes_at and self._notices.empty():
            self._notices.put(None)
        return None

    def disarm(self, link: Link) -> bool:
        """End the watch over `link` and say whether it was cut."""
        if self._armed.pop(self._numbered.pop(id(link), 0), None) is not None:
            return False
        while self._cutting is link:  # or the cut would meet the next operation
            time.sleep(0)
        return True

    def is_watching(self) -> bool:
        """Say whether the thread is there; it ends when there was nothing to watch for a while."""
        return self._thread is not None

    def before_fork(self) -> None:
        """Take nothing: no change has a middle."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread and the operations are the parent's."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._armed, self._numbered, self._notices = {}, {}, SimpleQueue()
        self._thread, self._wakes_at, self._cutting = None, inf, None
        self._starting, self._warned = threading.Lock(), False

    def _start(self) -> None:
        """Start the thread; where the process can have no more, operations go on without a deadline, aloud."""
        if not self._starting.acquire(blocking=False):
            return  # the thread that is being started watches over all operations
        self._here.watches = True
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-deadline", daemon=True)
                self._thread.start()
            refused = None
        except BaseException as error:
            self._thread, refused = None, error
            if not isinstance(error, RuntimeError):
                raise
        finally:
            self._here.watches = False
            self._starting.release()
        self._tell(refused)

    def _tell(self, refused: BaseException | None) -> None:
        if refused is not None and not self._warned:
            log.warning("DATABASE_TIMEOUT: no thread can be started (%s): until one can, no deadline is kept.", refused)
        self._warned = refused is not None

    def _run(self) -> None:
        self._here.watches = True
        while self._cut_due() or self._rest():
            continue
        self._thread = None
        if self._armed:  # by one who took this thread for one that goes on
            self._start()

    def _cut_due(self) -> bool:
        self._wakes_at = inf  # whoever comes from now on gives notice
        now = self._clock()
        due = [(number, link) for number, (at, link) in self._armed.copy().items() if at <= now]
        for number, link in due:
            self._cutting = link
            if self._armed.pop(number, None) is not None:
                self.expired += 1
                _cut(link)
            self._cutting = None
        return bool(due)

    def _rest(self) -> bool:
        """Sleep until the next deadline or a nearer one is set; False when there was nothing to watch for long."""
        nearest = min((at for at, _ in self._armed.copy().values()), default=None)
        now = self._clock()
        # While nothing is watched, no later deadline is nearer than this without a notice from `arm`.
        self._wakes_at = now + min(LINGER_SECONDS, self._seconds) if nearest is None else nearest
        try:
            self._notices.get(timeout=max(0.0, self._wakes_at - now))
        except Empty:
            return nearest is not None or bool(self._armed)
        return True


def _cut(link: Link) -> None:
    try:
        link.cut()
    except Exception:  # one that cannot be cut must not end the watch over the others
        log.exception("An operation that outlived its deadline could not be cut off.")
