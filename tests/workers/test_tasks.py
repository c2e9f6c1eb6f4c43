"""Work on demand in this process: `.delay()` with a context of its own, and a receipt that says what became of it."""

import threading

import flask
import pytest

from settings.workers.diagnosis import WorkerDefinitionError
from settings.workers.pool import DaemonPool
from settings.workers.runs import Runner
from settings.workers.tasks import PoolPublisher, Task
from tests.servers import wait_until
from tests.workers.conftest import MakeWorkers


def test_call_runs_in_the_background_with_a_context(make_workers: MakeWorkers) -> None:
    """`.delay(…)` returns at once; the function gets its arguments, on another thread, in a context."""
    workers, seen = make_workers(), []

    @workers.task
    def mail(to: str, *, copies: int) -> None:
        seen.append((to, copies, flask.has_app_context(), threading.current_thread() is threading.main_thread()))

    workers.start()
    receipt = mail.delay("a@example.com", copies=2)
    assert receipt
    assert receipt.fate == "queued"
    wait_until(lambda: seen != [])
    assert seen == [("a@example.com", 2, True, False)]


def test_task_is_still_a_function(make_workers: MakeWorkers) -> None:
    """Called like a function it runs here, in a context, and returns; its name and text are the function's."""
    workers = make_workers()

    @workers.task(name="sums.add")
    def add(one: int, two: int) -> int:
        """Return the sum."""
        return one + two + 0 * len(flask.current_app.name)  # noqa: TID251 - what a task of an application would do

    assert add(2, 3) == 5
    assert (add.name, add.__name__, add.__doc__) == ("sums.add", "add", "Return the sum.")  # type: ignore[attr-defined] # as functools.update_wrapper sets it


def test_call_before_the_start_runs_at_once(make_workers: MakeWorkers) -> None:
    """In a command or a test, where nothing is started, the call is done when `.delay` returns."""
    workers, ran = make_workers(), []
    good = workers.task(lambda: ran.append(1), name="good")
    bad = workers.task(lambda: 1 / 0, name="bad")
    assert (good.delay().fate, ran) == ("done", [1])
    receipt = bad.delay()
    assert (receipt.fate, bool(receipt), receipt.detail) == ("failed", False, "ZeroDivisionError: division by zero")


def test_failing_call_is_logged_once(make_workers: MakeWorkers, caplog: pytest.LogCaptureFixture) -> None:
    """What a task raises in the background is one error with its traceback."""
    workers = make_workers()
    bad = workers.task(lambda: 1 / 0, name="bad")
    workers.start()
    bad.delay()
    workers.close()
    assert caplog.messages == ["Worker bad failed: ZeroDivisionError: division by zero"]


def test_call_beyond_its_time_limit_is_reported(make_workers: MakeWorkers, caplog: pytest.LogCaptureFixture) -> None:
    """A thread cannot be ended, but a line says while it runs that it takes too long, and what to do."""
    workers, go = make_workers(), threading.Event()
    slow = workers.task(lambda: go.wait(10), name="slow", timeout=0.02)
    workers.start()
    assert slow.delay()
    wait_until(lambda: caplog.messages != [])
    assert caplog.messages[0].startswith("Worker slow: the job has been running for longer than its time limit of 0.02")
    go.set()


def test_call_that_cannot_be_taken_is_refused(make_workers: MakeWorkers) -> None:
    """When too much waits, the receipt is false and says what to do."""
    workers, go = make_workers(), threading.Event()
    publisher = PoolPublisher(
        workers.runner, started=lambda: True, make_pool=lambda: DaemonPool(max_threads=1, max_waiting=1)
    )
    task = Task("slow", lambda: go.wait(10), timeout=None, ensured=lambda: None, publisher=lambda: publisher)
    task.delay()
    wait_until(lambda: publisher.unfinished == 1 and bool(task.delay()))
    receipt = task.delay()
    assert (receipt.fate, receipt.code, bool(receipt.fix)) == ("refused", "task-refused", True)
    go.set()
    assert publisher.close(5) == 0


def test_wrong_task_is_refused(make_workers: MakeWorkers) -> None:
    """A lambda needs a name, and a time limit must be a number of seconds."""
    workers = make_workers()
    with pytest.raises(WorkerDefinitionError, match="usable name"):
        workers.task(lambda: None)
    with pytest.raises(WorkerDefinitionError, match="timeout=0"):
        workers.task(lambda: None, name="x", timeout=0)


def test_runner_takes_no_outcome_for_another(make_workers: MakeWorkers) -> None:
    """A runner returns how it went, never raises, also for what would end a process."""
    runner: Runner = make_workers().runner
    assert runner.run("fine", lambda: 3).outcome == "ok"
    result = runner.run("ends", lambda: exec("raise SystemExit(2)"))
    assert (result.outcome, result.error) == ("failed", "SystemExit: 2")
