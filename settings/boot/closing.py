"""Closers: what was started is stopped in reverse, each whatever happened to the one before, once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock

log = logging.getLogger(__name__)


class Closers:
    """A stack of named closers.

    `close()` may be called from any thread any number of times: each closer runs once, and a second caller
    waits until the first is done, so that a process never ends in the middle of its own end.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[str, Callable[[], object]]] = []
        self._lock = RLock()

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
        """Take the lock, so that a fork never lands in the middle of a close."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Make the lock anew; the child closes what it has made its own."""
        self._lock = RLock()
