"""Background jobs of one process: registered at any time, started where it serves, closed in bounded time."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from settings.backoff import Deadline
from settings.forks import watch_forks
from settings.probe import Fact, HealthStatus, Reading
from settings.workers.board import Board, judged
from settings.workers.claiming import ClaimsLike, ClaimsWatch
from settings.workers.context import ApplicationContextManager
from settings.workers.diagnosis import WorkerDefinitionError
from settings.workers.jobs import JobDefinition, JobStatus, checked_callable, checked_name, checked_seconds, define_job
from settings.workers.model import WorkersSettings
from settings.workers.runs import Bound, Runner, RunResult
from settings.workers.tasks import Engine, PoolPublisher, Publisher, Task
from settings.workers.turns import Turns

if TYPE_CHECKING:
    from settings.workers.timer import Timer

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


class Workers:
    """The periodic jobs and the tasks of an application, as run by this process.

    Nothing is imported, connected or started before `start()`. A fork leaves the child with the registrations
    and nothing that runs; the child may `start()` for itself.

    Args:
        settings: WORKERS_.
        context: Gives each run its application context.
        claims: Decides which process of the fleet runs a job with `once=True`.
        app_name: For messages.
        owner: Returns this process's name in the claims, for the status.
        bound: Binds `worker=<name>` to the log records of a run.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        settings: WorkersSettings,
        *,
        context: ApplicationContextManager,
        claims: ClaimsLike,
        app_name: str = "app",
        owner: Callable[[], str] = str,
        bound: Bound | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._context, self._app_name, self._clock = settings, context, app_name, clock
        self._lock = threading.RLock()
        self._timer: Timer | None = None
        self._stopping = threading.Event()
        self._tasks: dict[str, Task] = {}
        self._board, self._watch = Board(), ClaimsWatch(clock)
        self.runner = Runner(context, bound=bound, clock=clock)
        self._turns = Turns(
            self._board, self.runner, claims, self._watch, owner=owner, stopping=lambda: self.stopping, clock=clock
        )
        self._pool = PoolPublisher(self.runner, started=lambda: self.running)
        self._publisher: Publisher = self._pool
        self._engine: Engine | None = None
        watch_forks(self)

    @property
    def running(self) -> bool:
        """Whether jobs run in this process now."""
        return self._timer is not None

    @property
    def stopping(self) -> bool:
        """Whether the end has begun; a long job looks at it now and then and returns early."""
        return self._stopping.is_set()

    @overload
    def worker(self, function: F, /, *, every: float | None = None, cron: str | None = None, name: str | None = None,
               once: bool = True, timeout: float | None = None, jitter: float | None = None,
               first: float | None = None, backoff: bool = True) -> F: ...  # fmt: skip
    @overload
    def worker(self, function: None = None, /, *, every: float | None = None, cron: str | None = None,
               name: str | None = None, once: bool = True, timeout: float | None = None,
               jitter: float | None = None, first: float | None = None,
               backoff: bool = True) -> Callable[[F], F]: ...  # fmt: skip
    def worker(
        self,
        function: F | None = None,
        /,
        *,
        every: float | None = None,
        cron: str | None = None,
        name: str | None = None,
        once: bool = True,
        timeout: float | None = None,
        jitter: float | None = None,
        first: float | None = None,
        backoff: bool = True,
    ) -> F | Callable[[F], F]:
        """Register a periodic job, as a decorator or by a call, before or after `start()`.

        On SQLite a write transaction that is open for a minute, or the interval where that is shorter, keeps the job's
        own lease from being prolonged, and another process may run it again: write in shorter ones.

        Args:
            function: Takes no arguments; may be a coroutine function.
            every: Seconds between runs; 30 where there is no `cron` either.
            cron: A crontab line in UTC instead, such as `0 3 * * *`.
            name: Unique in the application; the function's own by default.
            once: One process of the whole fleet runs it each time; False: each serving process does.
            timeout: Seconds after which a run is reported as too long.
            jitter: Seconds by which each turn may come later, at random; by default 5 % of `every`, at most 5 s.
            first: Seconds until the first run, with `once=False`; by default one interval.
            backoff: Whether it rests longer and longer, up to an hour, while it fails again and again.

        Returns:
            The function, made to run in an application context also when it is called directly.

        Raises:
            WorkerDefinitionError: Something about the job cannot be right, or its name is taken.
        """

        def register(function: F) -> F:
            self._add(define_job(function, every=every, cron=cron, name=name, once=once, timeout=timeout,
                                 jitter=jitter, first=first, backoff=backoff))  # fmt: skip
            return self._context.ensure_context(function)

        return register if function is None else register(function)

    @overload
    def task(
        self, function: Callable[..., Any], /, *, name: str | None = None, timeout: float | None = None
    ) -> Task: ...
    @overload
    def task(
        self, function: None = None, /, *, name: str | None = None, timeout: float | None = None
    ) -> Callable[[Callable[..., Any]], Task]: ...
    def task(
        self, function: Callable[..., Any] | None = None, /, *, name: str | None = None, timeout: float | None = None
    ) -> Task | Callable[[Callable[..., Any]], Task]:
        """Register a function that is called on demand, with `.delay(…)`.

        Args:
            function: What runs; its arguments should be what JSON can hold.
            name: Unique in the application; the function's own by default.
            timeout: Seconds after which a run is reported as too long, and ended with Celery; None for Celery's own.

        Raises:
            WorkerDefinitionError: It cannot be called, or its name is taken.
        """

        def register(function: Callable[..., Any]) -> Task:
            label = checked_name(function, name)
            checked_callable(label, function, arguments=True)
            limit = None if timeout is None else checked_seconds(label, "timeout", timeout)
            ensured = self._context.ensure_context(function)
            return self._add_task(
                Task(label, function, timeout=limit, ensured=ensured, publisher=lambda: self._publisher)
            )

        return register if function is None else register(function)

    def hand_over(self, engine: Engine) -> None:
        """Let another engine keep the time of the fleet's jobs and run tasks, those to come too.

        Jobs with `once=False` go on running in each process that is started.
        """
        with self._lock:
            self._engine = self._publisher = engine
            for definition in self._board.definitions():
                self._tell(engine, definition)
            for task in self._tasks.values():
                engine.add_task(task)

    def run_due(self, name: str, *, only_lost: bool = False) -> RunResult | None:
        """Claim and run a job here and now, and return how it went; None when it is not due, or cannot be claimed.

        Args:
            name: The job.
            only_lost: Whether it is due only when the process that ran it last died in the run.
        """
        return self._turns.run_due(name, only_lost=only_lost)

    def jobs(self) -> list[JobStatus]:
        """Return how each job is doing, as seen from this process."""
        return self._board.statuses()

    def start(self) -> None:
        """Start the jobs in this process; does nothing when they run already or WORKERS_ENABLED is false."""
        if not self._settings.enabled:
            logger.debug("No worker is started: WORKERS_ENABLED is false")
            return
        from settings.workers.timer import Timer  # APScheduler is imported only where jobs run

        with self._lock:
            if self._timer is not None:
                return
            self._stopping.clear()
            self._pool.renew()
            timer = Timer(self._turns.take)
            for definition in self._board.definitions():
                self._plan(timer, definition)
            timer.start()
            self._timer = timer
        logger.info("Workers started: %d jobs of %s", len(self._board.definitions()), self._app_name)

    def close(self, grace: float | None = None) -> None:
        """Begin no further run, and wait at most `grace` seconds (WORKERS_GRACE) for those that run.

        Idempotent. What runs on after that is logged, and ends with the process: its threads are daemons.
        """
        deadline = Deadline(self._settings.grace if grace is None else grace, clock=self._clock)
        with self._lock:
            timer, self._timer = self._timer, None
        self._stopping.set()
        if timer is None:
            return
        timer.stop()
        if undone := self._pool.close(deadline.left()):
            logger.warning("Workers closed with %d calls of tasks not done", undone)
        for name in timer.join(deadline):
            logger.warning("Worker %s still runs at the end of the grace time and is left behind", name)
        logger.info("Workers closed")

    def reading(self) -> Reading:
        """Return how the workers of this process are, without asking anything of the network."""
        if not self._settings.enabled:
            return Reading(HealthStatus.DISABLED, "WORKERS_ENABLED is false")
        jobs, diagnosis = self.jobs(), self._watch.diagnosis
        facts: dict[str, Fact] = {
            "running": self.running,
            "jobs": len(jobs),
            "busy": sum(job.state in ("running", "overrunning") for job in jobs),
            "failing": sum(job.failures_in_a_row > 0 for job in jobs),
            "overrunning": sum(job.state == "overrunning" for job in jobs),
            "failures": sum(job.failures for job in jobs),
            "tasks_waiting": self._pool.unfinished,
        }
        if not self.running:
            return Reading(HealthStatus.UNKNOWN, "no worker is started in this process", facts=facts)
        if diagnosis is not None:
            return Reading(HealthStatus.UNHEALTHY, "jobs of the fleet wait", diagnosis.code, diagnosis.cause,
                           diagnosis.fix, facts)  # fmt: skip
        return judged(jobs, facts)

    def _add(self, definition: JobDefinition) -> None:
        with self._lock:
            self._refuse_taken(definition.name)
            self._board.add(definition)
            if self._engine is not None:
                self._tell(self._engine, definition)
            if self._timer is not None:
                self._plan(self._timer, definition)

    def _add_task(self, task: Task) -> Task:
        with self._lock:
            self._refuse_taken(task.name)
            self._tasks[task.name] = task
            if self._engine is not None:
                self._engine.add_task(task)
        return task

    def _tell(self, engine: Engine, definition: JobDefinition) -> None:
        engine.add_job(definition)
        if definition.once:
            self._board.change(definition.name, detail=engine.where)

    def _refuse_taken(self, name: str) -> None:
        if name in self._tasks or name in self._board:
            fix = 'give one of them another name: name="…"'
            raise WorkerDefinitionError(name, "there is a job or task of that name already", fix)

    def _plan(self, timer: "Timer", definition: JobDefinition) -> None:
        if self._engine is None or not definition.once:
            timer.plan(definition.name, self._turns.first_pause(definition))

    def before_fork(self) -> None:
        """Take the locks."""
        self._lock.acquire()
        self._board.before_fork()

    def after_fork_in_parent(self) -> None:
        """Release the locks."""
        self._board.after_fork_in_parent()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Keep the registrations; the parent's threads do not exist here, so nothing runs until `start()`."""
        self._lock = threading.RLock()
        self._timer, self._stopping = None, threading.Event()
        self._board.after_fork_in_child()
        self._watch.after_fork_in_child()
        self._pool.renew()
