"""What a job is: its definition, checked when it is written, and its state in this process."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from settings.workers.diagnosis import WorkerDefinitionError, name_of

if TYPE_CHECKING:
    from settings.workers.cron import Cron

MAX_NAME = 200
DEFAULT_EVERY_SECONDS = 30.0
JITTER_SHARE = 0.05
MAX_JITTER_SECONDS = 5.0

State = Literal["idle", "claiming", "running", "overrunning"]
Outcome = Literal["", "ok", "failed", "timeout"]


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """A periodic job as its author wrote it.

    Attributes:
        name: Unique in the application; second half of its claim's key, and its Celery name.
        function: What runs, without arguments.
        every: Seconds between runs; None for a cron job.
        cron: When it runs; None for a job with an interval.
        once: One process of the whole fleet runs it each time; otherwise each serving process does.
        timeout: Seconds after which a run is reported as too long; None never.
        jitter: Seconds by which each turn may come later, at random.
        first: Seconds until the first run of a job that runs in each process.
        backoff: Whether it rests longer and longer while it fails again and again.
    """

    name: str
    function: Callable[[], object]
    every: float | None
    cron: "Cron | None"
    once: bool
    timeout: float | None
    jitter: float
    first: float
    backoff: bool = True

    @property
    def schedule(self) -> str:
        """The schedule for people: `every 30 s`, `cron 0 3 * * *`."""
        return f"cron {self.cron.text}" if self.cron is not None else f"every {self.every:g} s"

    def interval_seconds(self) -> float:
        """Return the seconds between two runs, from now on."""
        if self.cron is not None:
            return self.cron.interval_seconds(datetime.now(UTC))
        assert self.every is not None
        return self.every

    def claim_seconds(self) -> float:
        """Return the interval that a claim is given: it bounds the lease.

        For a cron job half its gap, so that the lease of a process that died is over well before the next run.
        """
        if self.cron is not None:
            return self.cron.gap_seconds(datetime.now(UTC)) / 2
        return self.interval_seconds()


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How a job is doing, as seen from one process.

    Attributes:
        name: The job.
        schedule: `every 30 s` or `cron 0 3 * * *`.
        once: Whether one process of the fleet runs it, or each.
        state: `idle`, `claiming`, `running` or `overrunning` (beyond its time limit).
        runs: Runs that this process has begun.
        failures: Runs of this process that raised.
        failures_in_a_row: The latest of them without a success in between.
        last_started: Beginning of this process's last run, in UTC.
        last_duration_seconds: How long it took.
        last_outcome: `ok`, `failed`, `timeout`, or empty before the first run.
        last_error: Type and first line of its error, masked.
        next_run: When this process looks at the job again, in UTC; None while it runs or nothing is started.
        owner: This process's name when the last run was its own.
        detail: What it waits for, if that is not its time.
    """

    name: str
    schedule: str
    once: bool
    state: State = "idle"
    runs: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_started: datetime | None = None
    last_duration_seconds: float | None = None
    last_outcome: Outcome = ""
    last_error: str = ""
    next_run: datetime | None = None
    owner: str = ""
    detail: str = ""


def define_job(
    function: Callable[[], object],
    *,
    every: float | None,
    cron: str | None,
    name: str | None,
    once: bool,
    timeout: float | None,
    jitter: float | None,
    first: float | None,
    backoff: bool = True,
) -> JobDefinition:
    """Return a checked definition; without `every` and `cron` the job runs each 30 seconds.

    Raises:
        WorkerDefinitionError: Something about it cannot be right.
    """
    label = checked_name(function, name)
    checked_callable(label, function, arguments=False)
    if every is not None and cron is not None:
        fix = 'give one: every=30.0 (seconds) or cron="0 3 * * *"'
        raise WorkerDefinitionError(label, "it has both every and cron", fix)
    if cron is None:
        every = checked_seconds(label, "every", DEFAULT_EVERY_SECONDS if every is None else every)
    spread = min(JITTER_SHARE * every, MAX_JITTER_SECONDS) if every is not None else 1.0
    return JobDefinition(
        name=label,
        function=function,
        every=every,
        cron=None if cron is None else _cron(label, cron),
        once=once,
        timeout=None if timeout is None else checked_seconds(label, "timeout", timeout),
        jitter=spread if jitter is None else checked_seconds(label, "jitter", jitter, zero=True),
        first=(every or 0.0) if first is None else checked_seconds(label, "first", first, zero=True),
        backoff=backoff,
    )


def checked_name(function: object, name: str | None) -> str:
    """Return the name of a job or task: the given one, or the function's own.

    Raises:
        WorkerDefinitionError: It is empty, too long or not printable, or there is none to take.
    """
    label = name_of(function) if name is None and callable(function) else name
    if not isinstance(label, str) or not label.strip() or label == "<lambda>":
        raise WorkerDefinitionError(str(label), "it has no usable name", 'give one: name="nightly-report"')
    if not label.isprintable():
        raise WorkerDefinitionError(label, "its name holds a character that cannot be seen", "use letters and digits")
    if len(label) > MAX_NAME:
        raise WorkerDefinitionError(label, f"its name is longer than {MAX_NAME} characters", "shorten it")
    return label


def checked_callable(name: str, function: object, *, arguments: bool) -> None:
    """Refuse what cannot run in the background.

    Args:
        name: For the message.
        function: What is to run.
        arguments: Whether it may need arguments, as a task may and a periodic job may not.

    Raises:
        WorkerDefinitionError: It cannot be called, is a generator, or needs arguments that nobody would give.
    """
    if not callable(function):
        raise WorkerDefinitionError(name, f"{function!r} cannot be called", "register a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise WorkerDefinitionError(name, "it is a generator, which nobody would read", "do the work and return")
    if not arguments and not _callable_bare(function):
        fix = "use a function without arguments, or functools.partial; services.task takes arguments"
        raise WorkerDefinitionError(name, "it needs arguments", fix)


def _callable_bare(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature: only the call itself will tell
        return True
    return True


def checked_seconds(name: str, option: str, value: object, *, zero: bool = False) -> float:
    """Return a duration in seconds.

    Raises:
        WorkerDefinitionError: It is no number, or too small: not above 0, or below 0 where `zero` is allowed.
    """
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if math.isfinite(number) and (number > 0 or (zero and number == 0)):
        return number
    least = "0 or more" if zero else "more than 0"
    raise WorkerDefinitionError(name, f"{option}={value!r} is no number of seconds", f"give {least}: {option}=30.0")


def _cron(name: str, text: object) -> "Cron":
    from settings.workers.cron import Cron  # APScheduler is imported only for those who use it

    if not isinstance(text, str):
        raise WorkerDefinitionError(name, f"cron={text!r} is no text", 'write five fields: cron="0 3 * * *"')
    try:
        return Cron(text)
    except ValueError as error:
        fix = 'write minute, hour, day, month and day of the week, in UTC: cron="0 3 * * *"'
        raise WorkerDefinitionError(name, f"cron={text!r} cannot be used ({error})", fix) from error
