"""A small pool of daemon threads for work on demand: bounded threads, bounded waiting, and never in an exit's way."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from settings.backoff import Deadline

logger = logging.getLogger(__name__)

IDLE_SECONDS = 5.0


class _Work(NamedTuple):
    name: str
    run: Callable[[], object]


class DaemonPool:
    """Runs what is submitted, in order, on at most `max_threads` daemon threads; no thread before the first work.

    Args:
        max_threads: Threads at most; idle ones end after a few seconds.
        max_waiting: Work that may wait for a thread; more is refused.
    """

    def __init__(self, *, max_threads: int = 4, max_waiting: int = 1000) -> None:
        self._max_threads, self._max_waiting = max_threads, max_waiting
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[_Work] = deque()
        self._threads = self._idle = self._running = 0
        self._closed = False

    def submit(self, name: str, run: Callable[[], object]) -> bool:
        """Take work, or refuse it when too much waits, no thread can be had, or the pool is closed."""
        with self._changed:
            if self._closed or len(self._waiting) >= self._max_waiting:
                return False
            self._waiting.append(_Work(name, run))
            if len(self._waiting) > self._idle and self._threads < self._max_threads and not self._add_thread():
                return False
            self._changed.notify_all()
        return True

    @property
    def unfinished(self) -> int:
        """Work that waits or runs."""
        return len(self._waiting) + self._running

    def close(self, grace_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> int:
        """Refuse new work, wait at most `grace_seconds` for what is there, and return how much was left undone."""
        deadline = Deadline(grace_seconds, clock=clock)
        with self._changed:
            self._closed = True
            while self.unfinished and (left := deadline.left()) > 0:
                self._changed.wait(left)
            return self.unfinished

    def _add_thread(self) -> bool:
        """Start a thread; when none can be had and none is there, take the last work back and say so."""
        try:
            threading.Thread(target=self._serve, name=f"tasks-{self._threads + 1}", daemon=True).start()
        except RuntimeError:
            if self._threads:
                return True
            work = self._waiting.pop()
            logger.exception("Task %s is refused: no thread can be started", work.name)
            return False
        self._threads += 1
        return True

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            try:
                work.run()
            except BaseException:  # a thread of the pool outlives any work
                logger.exception("Task %s failed outside its function", work.name)
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _next(self) -> _Work | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting, timeout=IDLE_SECONDS)
            self._idle -= 1
            if not self._waiting:
                self._threads -= 1
                return None
            self._running += 1
            return self._waiting.popleft()
