"""The thread of the handlers: however slow one is, the connection goes on."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

MAX_WAITING = 1000
"""Messages that wait for slow handlers; beyond it new ones are dropped and counted."""

MAX_WAITING_BYTES = 16 * 2**20
"""The same for what they hold together, as JSON: once decoded they take several times as much."""

logger = logging.getLogger(__name__)
Run = Callable[..., Any]
"""Calls a function with arguments, in an application context."""
Job = tuple[Callable[..., object], tuple[object, ...], int]
"""A handler, its arguments, and their size in bytes."""


class Dispatcher:
    """Runs handlers one at a time, in order, on a daemon thread that starts with the first of them.

    Args:
        run: Calls a function with its arguments, in an application context.
        limit: Messages that may wait.

    Attributes:
        lost: Messages dropped because handlers were too slow.
        failures: Handlers that raised.
    """

    def __init__(self, run: Run, *, limit: int = MAX_WAITING) -> None:
        self._run, self._limit = run, limit
        self.reset()

    def reset(self) -> None:
        """Begin anew, without a thread: what a forked child does."""
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._waiting_bytes, self._ends = 0, False
        self.lost = self.failures = 0

    def post(self, handler: Callable[..., object], *args: object, size: int = 0) -> None:
        """Run `handler` after what waits already; lost, and counted, when too much waits.

        Args:
            handler: Called with `args`.
            args: Its arguments.
            size: What they hold, in bytes.
        """
        with self._changed:
            full = len(self._waiting) >= self._limit or self._waiting_bytes + size > MAX_WAITING_BYTES
            self.lost += full
            first = full and self.lost == 1
            refused = None if full else self._append(handler, args, size)
        if first:
            logger.warning(
                "WebSocket handlers are too slow: messages are dropped and counted [websocket-handlers-slow]"
            )
        _tell(refused)

    def post_always(self, handler: Callable[..., object], *args: object) -> None:
        """Run `handler` after what waits already, however much that is: for what is rare and must not be lost."""
        with self._changed:
            refused = self._append(handler, args, 0)
        _tell(refused)

    def close(self, grace_seconds: float) -> None:
        """Run what waits for at most `grace_seconds`; later posts do nothing."""
        with self._changed:
            self._ends = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(grace_seconds)

    def before_fork(self) -> None:
        """Take the lock."""
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._changed.release()

    def _append(self, handler: Callable[..., object], args: tuple[object, ...], size: int) -> RuntimeError | None:
        """Queue a job; return what the system said when there is no thread for it."""
        if self._ends:
            return None
        self._waiting.append((handler, args, size))
        self._waiting_bytes += size
        self._changed.notify()
        return self._start() if self._thread is None else None

    def _start(self) -> RuntimeError | None:
        thread = threading.Thread(target=self._work, name="websocket-handlers", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            return error
        self._thread = thread
        return None

    def _work(self) -> None:
        while (job := self._next()) is not None:
            handler, args, _ = job
            try:
                self._run(handler, *args)
            except BaseException:  # a CancelledError of asyncio must not end the thread of all handlers
                self.failures += 1
                logger.exception("a WebSocket handler failed: %s [websocket-handler-failed]", _name(handler))

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting:
                if self._ends:
                    return None
                self._changed.wait()
            job = self._waiting.popleft()
            self._waiting_bytes -= job[2]
            return job


def _tell(refused: RuntimeError | None) -> None:
    if refused is not None:
        logger.warning("no thread for WebSocket handlers (%s): they wait [websocket-handlers-wait]", refused)


def _name(handler: Callable[..., object]) -> str:
    return getattr(handler, "__qualname__", type(handler).__name__)
