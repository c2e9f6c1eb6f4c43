"""Closers: what was started is stopped in reverse, each whatever happened to the one before, once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock

from settings.forks import watch_forks

log = logging.getLogger(__name__)


class Closers:
    """A stack of named closers.

    `close()` may be called from any thread any number of times: each closer runs once, and a second caller
    waits until the first is done, so that a process never ends in the middle of its own end.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[str, Callable[[], object]]] = []
        self._lock = RLock()
        watch_forks(self)

    def add(self, name: str, closer: Callable[[], object]) -> None:
        """Run `closer` before everything that was added earlier."""
        self._stack.append((name, closer))

    @contextmanager
    def unwound(self) -> Iterator[None]:
        """Close everything when the with block fails, and pass the failure on."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Run every closer; one that fails is logged with its traceback and stops none of the others."""
        with self._lock:
            while self._stack:
                self._close_one(*self._stack.pop())

    def _close_one(self, name: str, closer: Callable[[], object]) -> None:
        try:
            closer()
        except Exception:
            log.exception("closing %s failed; the others are closed all the same [close-failed]", name)

    def before_fork(self) -> None:
        """Let a close that is under way go on: it waits for jobs, and one of them may be what forks."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Make the lock anew; what a close in the parent has left open, the child may close for itself."""
        self._lock = RLock()
