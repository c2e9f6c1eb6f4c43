"""When a job's turn comes: APScheduler as the clock, daemon threads of our own for the turns.

APScheduler's pool joins its threads at the end of the process, whatever they do; a daemon thread ends with it.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from settings.backoff import Deadline
from settings.workers.diagnosis import described

logger = logging.getLogger(__name__)

NET_SECONDS = 60.0
RETRY_SECONDS = 5.0
CLOCK_STEP_SECONDS = 0.5

Turn = Callable[[str], float | None]
"""Gives a job its turn and returns the seconds until the next one; None ends the job here."""


class _DaemonExecutor:
    """Hands each due job to the timer, which gives it a daemon thread; APScheduler's interface of an executor."""

    def __init__(self, begin: Callable[[str], None]) -> None:
        self._begin = begin

    def start(self, _scheduler: object, _alias: str) -> None:
        """Need nothing."""

    def submit_job(self, job: Any, _run_times: list[datetime]) -> None:  # noqa: ANN401 - APScheduler ships no types
        """Begin the job's turn unless it has one now."""
        self._begin(job.id)

    def shutdown(self, wait: bool = True) -> None:
        """Leave the turns alone: whoever closes the workers waits for them as long as the grace time allows."""


BaseExecutor.register(_DaemonExecutor)


class _SteadyScheduler(BackgroundScheduler):  # type: ignore[misc] # APScheduler ships no types
    """APScheduler, told of steps of the wall clock, by which it plans, before each look at its jobs."""

    before_look: Callable[[], None]

    def _process_jobs(self) -> float | None:
        self.before_look()
        wait: float | None = super()._process_jobs()
        return wait


class Timer:
    """Gives each planned job its turn on a daemon thread of its own; a job never has two turns at a time.

    Args:
        turn: What a turn does.
        monotonic: Clock by which pauses are kept, in seconds; a step of the wall clock changes none of them.
        wall: The wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        turn: Turn,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._turn, self._monotonic, self._wall = turn, monotonic, wall
        self._lock = threading.RLock()
        self._busy: dict[str, threading.Thread] = {}
        self._due: dict[str, float] = {}
        self._stopped = False
        self._offset = wall() - monotonic()
        self._scheduler = _SteadyScheduler(
            timezone=UTC, executors={"default": _DaemonExecutor(self._begin)}, logger=_quiet_logger()
        )
        self._scheduler.before_look = self._follow_clock

    def start(self) -> None:
        """Start the clock's thread."""
        self._scheduler.start()

    def plan(self, name: str, delay_seconds: float) -> None:
        """Give `name` its next turn in `delay_seconds`, in place of what was planned for it."""
        with self._lock:
            if self._stopped:
                return
            self._due[name] = self._monotonic() + delay_seconds
            moment = datetime.now(UTC) + timedelta(seconds=delay_seconds)
        try:
            self._scheduler.modify_job(name, next_run_time=moment)
        except JobLookupError:
            # Each turn plans the next. The trigger is a net for a turn that could not begin: no job is ever lost.
            net = IntervalTrigger(seconds=NET_SECONDS, timezone=UTC)
            self._scheduler.add_job(
                _nothing, net, id=name, name=name, next_run_time=moment, coalesce=True, misfire_grace_time=None,
                replace_existing=True,
            )  # fmt: skip

    def busy(self) -> dict[str, threading.Thread]:
        """Return the jobs that have their turn now, with their threads."""
        with self._lock:
            return dict(self._busy)

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for the turns that run, until the deadline, and return the jobs whose turns still do."""
        left_behind = []
        for name, thread in self.busy().items():
            if thread is not threading.current_thread():
                thread.join(deadline.left())
                left_behind += [name] if thread.is_alive() else []
        return left_behind

    def stop(self) -> None:
        """Begin no further turn; those that run go on."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._scheduler.shutdown(wait=False)

    def _begin(self, name: str) -> None:
        with self._lock:
            if self._stopped or name in self._busy:
                return
            thread = threading.Thread(target=self._take, args=(name,), name=f"worker-{name}", daemon=True)
            self._busy[name] = thread
        try:
            thread.start()
        except RuntimeError as error:
            with self._lock:
                self._busy.pop(name, None)
            logger.error("Worker %s cannot begin (%s); next try in %g s", name, described(error), NET_SECONDS)  # noqa: TRY400 - the reason says it all, the traceback is this line

    def _take(self, name: str) -> None:
        delay: float | None = RETRY_SECONDS
        try:
            delay = self._turn(name)
        except Exception:  # a defect here must not end the job
            logger.exception("The turn of worker %s failed outside its function", name)
        finally:
            with self._lock:
                self._busy.pop(name, None)
        if delay is not None:
            self.plan(name, delay)

    def _follow_clock(self) -> None:
        """Move what is planned along with the wall clock when it was set, so that pauses keep their length."""
        offset = self._wall() - self._monotonic()
        step, self._offset = offset - self._offset, offset
        if abs(step) < CLOCK_STEP_SECONDS:
            return
        logger.info("The clock of this machine was set by %+.1f s; the workers keep their pauses", step)
        with self._lock:
            left = {name: due - self._monotonic() for name, due in self._due.items()}
        for name, seconds in left.items():
            self.plan(name, max(0.0, seconds))


def _nothing() -> None:
    """Stand where APScheduler wants a function: the executor gives the turn by the job's id."""


def _quiet_logger() -> logging.Logger:
    """Return a logger for APScheduler's own lines, of which only warnings and above say anything here."""
    quiet = logging.getLogger(f"{__name__}.apscheduler")
    quiet.setLevel(logging.WARNING)
    return quiet
