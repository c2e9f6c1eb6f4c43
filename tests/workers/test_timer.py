"""The clock of the jobs: pauses keep their length when the machine's clock is set, and no defect ends a job."""

import threading

import pytest

from settings.backoff import Deadline
from settings.workers.timer import Timer
from tests.servers import wait_until


class _Clocks:
    """A monotonic clock and a wall clock; the test sets the latter."""

    def __init__(self) -> None:
        self.monotonic_now, self.step = 50.0, 0.0

    def monotonic(self) -> float:
        return self.monotonic_now

    def wall(self) -> float:
        return 1_000_000.0 + self.monotonic_now + self.step


def test_turn_that_raises_outside_its_function_is_taken_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect in a turn is logged and the job has its next turn soon."""
    monkeypatch.setattr("settings.workers.timer.RETRY_SECONDS", 0.02)
    turns: list[str] = []

    def turn(name: str) -> float | None:
        turns.append(name)
        if len(turns) == 1:
            raise KeyError("a defect")
        return None

    timer = Timer(turn)
    timer.plan("job", 0)
    timer.start()
    wait_until(lambda: len(turns) == 2)
    timer.stop()
    assert caplog.messages == ["The turn of worker job failed outside its function"]


def test_clock_that_was_set_changes_no_pause(caplog: pytest.LogCaptureFixture) -> None:
    """An hour back or ahead on the wall clock is noticed, and what is planned comes when it would have come."""
    caplog.set_level("INFO")
    clocks, ran = _Clocks(), threading.Event()
    timer = Timer(lambda _name: ran.set(), monotonic=clocks.monotonic, wall=clocks.wall)
    timer.plan("job", 0.2)
    clocks.step = -3600
    clocks.monotonic_now += 0.2
    timer.start()  # the first look at what is due notices the step
    assert ran.wait(5)
    timer.stop()
    assert caplog.messages == ["The clock of this machine was set by -3600.0 s; the workers keep their pauses"]


def test_stopped_timer_begins_nothing() -> None:
    """After a stop nothing is planned or begun, and a second stop does nothing."""
    ran = threading.Event()
    timer = Timer(lambda _name: ran.set())
    timer.start()
    timer.stop()
    timer.stop()
    timer.plan("job", 0)
    assert not ran.wait(0.1)
    assert timer.join(Deadline(1)) == []


def test_turn_that_runs_is_joined_until_the_deadline() -> None:
    """A turn that does not end in time is named."""
    began, go = threading.Event(), threading.Event()

    def turn(_name: str) -> None:
        began.set()
        go.wait(10)

    timer = Timer(turn)
    timer.plan("long", 0)
    timer.start()
    assert began.wait(5)
    assert list(timer.busy()) == ["long"]
    timer.stop()
    assert timer.join(Deadline(0.02)) == ["long"]
    go.set()
    assert timer.join(Deadline(5)) == []


def test_job_without_a_thread_is_tried_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no thread can be had the job stays planned, and the log says so."""
    ran = threading.Event()
    timer = Timer(lambda _name: ran.set())
    begin = threading.Thread.start
    refusals = [1]

    def start(thread: threading.Thread) -> None:
        if thread.name == "worker-job" and refusals:
            refusals.pop()
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    timer.plan("job", 0)
    timer.start()
    wait_until(lambda: caplog.messages != [])
    assert "cannot begin" in caplog.messages[0]
    timer.plan("job", 0)
    assert ran.wait(5)
    timer.stop()
