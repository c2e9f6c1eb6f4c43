"""Work on demand: `services.task` and its `.delay()`, the same on both engines."""

import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from settings.workers.diagnosis import diagnose
from settings.workers.jobs import JobDefinition
from settings.workers.pool import DaemonPool
from settings.workers.runs import Runner, RunResult, Watch

Fate = Literal["queued", "done", "failed", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class TaskReceipt:
    """What became of a call of `.delay()`; true when it is known to be taken.

    Attributes:
        id: The call's own id.
        fate: `queued` (a worker has it, or will), `done` or `failed` (it ran at once, because nothing is started in
            this process), `refused` (nobody has it: the broker is away, or too much waits), `unknown` (it was sent
            to the broker, whose answer was lost: a worker may run it, so that who does its work may do it twice).
        detail: Why it failed, was refused or is not known to be taken, masked.
        code: Code of the diagnosis; empty when there is none.
        fix: What a person should do; empty when there is nothing to do.
    """

    id: str
    fate: Fate
    detail: str = ""
    code: str = ""
    fix: str = ""

    def __bool__(self) -> bool:
        return self.fate in ("queued", "done")


class Publisher(Protocol):
    """Hands a call to whoever runs it."""

    def publish(self, task: "Task", args: tuple[object, ...], kwargs: dict[str, object]) -> TaskReceipt:
        """Return what became of the call; never raises, and returns in bounded time."""


class Engine(Publisher, Protocol):
    """Runs jobs and tasks elsewhere than on the threads of this process.

    Attributes:
        where: Where, for people: `on Celery workers`.
    """

    where: str

    def add_job(self, definition: JobDefinition) -> None:
        """Have a job run at its times."""

    def add_task(self, task: "Task") -> None:
        """Have a task's calls run."""


class Task:
    """A function that can be called here and now, or with `.delay()` in the background.

    Attributes:
        name: Unique in the application; its Celery name.
        function: What runs.
        timeout: Seconds after which a run is reported, and ended where that is possible (Celery); None never.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        timeout: float | None,
        ensured: Callable[..., Any],
        publisher: Callable[[], Publisher],
    ) -> None:
        self.name, self.function, self.timeout = name, function, timeout
        self.ensured, self._publisher = ensured, publisher
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function here, in the context that is there or in a new one."""
        return self.ensured(*args, **kwargs)

    def delay(self, *args: object, **kwargs: object) -> TaskReceipt:
        """Have the function called in the background, in a context and with a session of its own.

        Returns at once, also when it could not be taken; the receipt says so. Arguments should be what JSON can
        hold, so that the call is the same with Celery.
        """
        return self._publisher().publish(self, args, kwargs)


class PoolPublisher:
    """Runs calls in this process: in its pool while workers are started, else at once, in the caller.

    Args:
        runner: Gives each call its context.
        started: Says whether the workers of this process are started; a command or a test has none, and its
            process may end before a thread would have run.
        make_pool: Makes the threads' pool; tests pass a smaller one.
    """

    def __init__(
        self, runner: Runner, *, started: Callable[[], bool], make_pool: Callable[[], DaemonPool] = DaemonPool
    ) -> None:
        self._runner, self._started, self._make_pool = runner, started, make_pool
        self._pool = make_pool()

    @property
    def unfinished(self) -> int:
        """Calls that wait or run."""
        return self._pool.unfinished

    def renew(self) -> None:
        """Take a new pool: at a start, and in a forked child, where the old one's threads do not exist."""
        self._pool = self._make_pool()

    def close(self, grace_seconds: float) -> int:
        """Take no more calls, wait for those there are, and return how many were left undone."""
        return self._pool.close(grace_seconds)

    def publish(self, task: Task, args: tuple[object, ...], kwargs: dict[str, object]) -> TaskReceipt:
        """Return `queued`, `refused`, or what became of a call that ran at once."""
        number = uuid.uuid4().hex
        if not self._started():
            result = self._run(task, args, kwargs)
            return TaskReceipt(number, "done" if result.outcome == "ok" else "failed", result.error)
        if self._pool.submit(task.name, lambda: self._run(task, args, kwargs)):
            return TaskReceipt(number, "queued")
        diagnosis = diagnose("task-refused", error=f"{self.unfinished} calls wait or run")
        return TaskReceipt(number, "refused", diagnosis.cause, diagnosis.code, diagnosis.fix)

    def _run(self, task: Task, args: tuple[object, ...], kwargs: dict[str, object]) -> RunResult:
        with Watch(task.name, claim=None, timeout=task.timeout, on_overrun=lambda: None):
            return self._runner.run(task.name, task.function, *args, **kwargs)
