"""One run of a job: its context, its lease, its time limit, its outcome."""

import asyncio
import inspect
import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

from settings.workers.claiming import ClaimLike
from settings.workers.context import ApplicationContextManager
from settings.workers.diagnosis import described, diagnose, explained
from settings.workers.jobs import Outcome

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 3
BEAT_RETRY_SECONDS = 1.0
"""After a beat that failed: whoever else waits for the database asks later, and the lease stays here."""

Bound = Callable[..., AbstractContextManager[Any]]
"""Binds fields to the log records of a block: `bound(worker="nightly-report")`."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run went.

    Attributes:
        outcome: `ok`, `failed` (it raised) or `timeout` (it ended, but later than its limit).
        duration_seconds: How long it took.
        error: Type and first line of what it raised, or what the limit was; masked.
        raised: What it raised.
    """

    outcome: Outcome
    duration_seconds: float
    error: str = ""
    raised: BaseException | None = None


def call(function: Callable[..., Any], *args: object, **kwargs: object) -> object:
    """Call a function, or run a coroutine function to its end."""
    result = function(*args, **kwargs)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


class Runner:
    """Runs functions in an application context of their own; never raises what they raise, but for a process's end.

    Args:
        context: Gives the context and returns the session.
        bound: Binds `worker=<name>` to the log records of the run; None binds nothing.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        context: ApplicationContextManager,
        *,
        bound: Bound | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context, self._bound, self._clock = context, bound, clock

    def run(self, name: str, function: Callable[..., Any], *args: object, **kwargs: object) -> RunResult:
        """Run `function` once and say how it went; a failure is logged, once, with its traceback."""
        begin = self._clock()
        if self._bound is None:
            raised = self._call(name, function, args, kwargs)
        else:
            with self._bound(worker=name):
                raised = self._call(name, function, args, kwargs)
        seconds = self._clock() - begin
        if raised is None:
            return RunResult("ok", seconds)
        return RunResult("failed", seconds, described(raised), raised)

    def _call(
        self, name: str, function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> BaseException | None:
        try:
            with self._context.create_background_context():
                call(function, *args, **kwargs)
        except BaseException as error:
            if _ends_the_process(error):
                raise
            raised = _clearer(error, function)
            logger.error("Worker %s failed: %s", name, described(raised), exc_info=raised)  # noqa: TRY400 - the traceback is that of what was raised, explained
            return raised
        return None


def _ends_the_process(error: BaseException) -> bool:
    """Say whether a Celery worker that is told to end ends this process of its pool: the run is no failure of its own.

    billiard's handler of SIGTERM raises SystemExit with this status; the broker, or the lease, hands the run out again.
    """
    return isinstance(error, SystemExit) and error.code == -(256 - signal.SIGTERM)


def _clearer(error: BaseException, function: Callable[..., Any]) -> BaseException:
    better = explained(error, function) if isinstance(error, RuntimeError) else None
    if better is None:
        return error
    better.__cause__ = error
    return better


class Watch:
    """Keeps a run's lease and looks at its time limit, on daemon threads, while a `with` block runs.

    Args:
        name: The job.
        claim: Whose lease to keep; None for a job that runs in each process.
        timeout: Seconds after which `on_overrun` is called, once; None never.
        on_overrun: Called on the watch's thread.

    Attributes:
        overran: Whether the limit passed before the block ended.
        lost: Whether another process took the lease meanwhile.
    """

    def __init__(
        self, name: str, *, claim: ClaimLike | None, timeout: float | None, on_overrun: Callable[[], object]
    ) -> None:
        self._name, self._claim, self._timeout, self._on_overrun = name, claim, timeout, on_overrun
        self._ended = threading.Event()
        self.overran = self.lost = False

    def __enter__(self) -> Self:
        """Begin to watch.

        Raises:
            RuntimeError: No more threads can be had; none of the watch's goes on.
        """
        try:
            if self._claim is not None:
                self._start("lease", self._keep, self._claim)
            if self._timeout is not None:
                self._start("limit", self._limit, self._timeout)
        except RuntimeError:
            self._ended.set()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()

    def _start(self, kind: str, watch: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=watch, args=arguments, name=f"{kind}-{self._name}", daemon=True).start()

    def _keep(self, claim: ClaimLike) -> None:
        failures, pause = 0, claim.lease_seconds / BEATS_PER_LEASE
        while not self._ended.wait(min(pause, BEAT_RETRY_SECONDS) if failures else pause):
            try:
                held = claim.heartbeat()
            except Exception as error:  # noqa: BLE001 - any fault of the database; the next beat may succeed
                failures += 1
                level = logging.WARNING if failures == 1 else logging.DEBUG
                logger.log(level, "Worker %s cannot prolong its lease: %s", self._name, described(error))
                continue
            failures = 0
            if not held and not self._ended.is_set():
                self.lost = True
                logger.warning("Worker %s lost its lease while it runs; another process may run it too", self._name)
                return

    def _limit(self, timeout: float) -> None:
        if self._ended.wait(timeout):
            return
        self.overran = True
        diagnosis = diagnose("worker-overran")
        logger.error(
            "Worker %s: %s of %g s [%s]. Fix: %s", self._name, diagnosis.cause, timeout, diagnosis.code, diagnosis.fix
        )
        self._on_overrun()
