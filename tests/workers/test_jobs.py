"""A job's definition: its defaults, how long a claim holds the others off, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from settings.workers.diagnosis import WorkerDefinitionError
from settings.workers.jobs import JobDefinition, define_job
from tests.workers.conftest import MakeWorkers


def _define(**options: Any) -> JobDefinition:
    given: dict[str, Any] = dict.fromkeys(("every", "cron", "timeout", "jitter", "first"))
    return define_job(lambda: None, **{**given, "name": "job", "once": True, **options})


def test_defaults() -> None:
    """5 % jitter up to 5 s, the first run after one interval, no time limit."""
    job = _define(every=30)
    assert (job.jitter, job.first, job.timeout, job.schedule) == (1.5, 30, None, "every 30 s")
    assert _define(every=3600).jitter == 5
    assert _define(cron="0 3 * * *").jitter == 1


def test_lease_is_bounded_by_an_interval_or_half_a_gap() -> None:
    """So that a lease is over before the next run: an interval's or, of a crontab line, half the gap's."""
    assert _define(every=30).claim_seconds() == 30
    assert _define(cron="0 3 * * *").claim_seconds() <= 12 * 3600
    assert _define(cron="* * * * *").claim_seconds() == pytest.approx(30)


def _generator() -> object:
    yield 1


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (lambda: None, {"every": 1}, "no usable name"),
        (lambda: None, {"name": " ", "every": 1}, "no usable name"),
        (lambda: None, {"name": "x" * 201, "every": 1}, "longer than 200"),
        (lambda: None, {"name": "a\0b", "every": 1}, "cannot be seen"),
        (lambda: None, {"name": "x", "every": 1, "cron": "* * * * *"}, "both every and cron"),
        (lambda: None, {"name": "x", "every": 0}, "every=0 is no number of seconds"),
        (lambda: None, {"name": "x", "every": -1}, "every=-1"),
        (lambda: None, {"name": "x", "every": float("nan")}, "every=nan"),
        (lambda: None, {"name": "x", "every": float("inf")}, "every=inf"),
        (lambda: None, {"name": "x", "every": "30"}, "every='30'"),
        (lambda: None, {"name": "x", "every": True}, "every=True"),
        (lambda: None, {"name": "x", "every": 1, "timeout": 0}, "timeout=0"),
        (lambda: None, {"name": "x", "every": 1, "jitter": -1}, "jitter=-1"),
        (lambda: None, {"name": "x", "cron": "61 * * * *"}, "cron='61"),
        (lambda: None, {"name": "x", "cron": "0 0 31 2 *"}, "never fires"),
        (lambda: None, {"name": "x", "cron": 5}, "is no text"),
        (lambda _needed: None, {"name": "x", "every": 1}, "needs arguments"),
        (_generator, {"every": 1}, "is a generator"),
        (3, {"name": "x", "every": 1}, "cannot be called"),
    ],
)
def test_job_that_cannot_be_right_is_refused(
    make_workers: MakeWorkers, function: Callable[..., object], options: dict[str, object], words: str
) -> None:
    """Each mistake is an error that names the job, the cause and a fix, when the job is written."""
    workers = make_workers()
    with pytest.raises(WorkerDefinitionError) as caught:
        workers.worker(function, **options)  # type: ignore[call-overload] # wrong on purpose
    assert words in str(caught.value)
    assert caught.value.fix
    assert workers.jobs() == []


def test_job_runs_each_half_minute_when_nothing_is_said(make_workers: MakeWorkers) -> None:
    """With the decorator alone, with empty parentheses, or with a name."""
    workers = make_workers()

    @workers.worker
    def bare() -> None: ...

    @workers.worker()
    def empty() -> None: ...

    workers.worker(lambda: None, name="named")
    assert [(job.name, job.schedule) for job in workers.jobs()] == [
        ("bare", "every 30 s"), ("empty", "every 30 s"), ("named", "every 30 s"),
    ]  # fmt: skip


def test_name_is_taken_once(make_workers: MakeWorkers) -> None:
    """Two jobs, or a job and a task, of one name are refused."""
    workers = make_workers()
    workers.worker(lambda: None, every=1, name="taken")
    with pytest.raises(WorkerDefinitionError, match="already"):
        workers.worker(lambda: None, every=1, name="taken")
    with pytest.raises(WorkerDefinitionError, match="already"):
        workers.task(lambda: None, name="taken")
