"""Slow questions: one at a time, never waited for long."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from settings.status.kept import Kept, within
from tests.servers import wait_until


class Slow:
    """A question that is held until the test lets it go."""

    def __init__(self) -> None:
        self.asked, self.go = 0, threading.Event()
        self.error: Exception | None = None

    def __call__(self) -> int:
        """Wait, then return how often it was asked."""
        self.asked += 1
        number = self.asked
        self.go.wait(30)
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def slow() -> Iterator[Slow]:
    """A question, let go at the end of the test."""
    question = Slow()
    yield question
    question.go.set()


def test_a_fresh_answer_is_given_again(slow: Slow) -> None:
    """Within a second nobody asks anew; later somebody does."""
    now = [100.0]
    slow.go.set()
    kept = Kept("test", slow, empty=0, wait_seconds=5, wall=lambda: now[0])
    assert [kept.get().value, kept.get().value] == [1, 1]
    now[0] += 1.5
    assert kept.get().value == 2


def test_a_held_question_is_asked_once_and_not_waited_for(slow: Slow) -> None:
    """Fifty callers of a frozen service are answered at once, with one thread waiting for it."""
    kept = Kept("frozen", slow, empty=0, wait_seconds=0.02)
    begin = time.monotonic()
    answers = [kept.get() for _ in range(50)]
    assert time.monotonic() - begin < 10
    assert (slow.asked, {(each.value, each.late) for each in answers}) == (1, {(0, True)})
    assert sum(each.name == "status-frozen" for each in threading.enumerate()) == 1


def test_only_the_first_caller_of_a_frozen_service_waits(slow: Slow) -> None:
    """The wait counts from when the question was asked: thirty callers together wait hardly longer than one."""
    kept = Kept("frozen", slow, empty=0, wait_seconds=0.5)
    begin = time.monotonic()
    assert all(kept.get().late for _ in range(30))
    assert 0.5 <= time.monotonic() - begin < 5


def test_the_last_answer_stays_while_the_next_is_late(slow: Slow) -> None:
    """A late answer is the one before, with its time."""
    now = [100.0]
    slow.go.set()
    kept = Kept("test", slow, empty=0, wait_seconds=0.05, wall=lambda: now[0])
    wait_until(lambda: kept.get().value == 1, what="the first answer")
    slow.go.clear()
    now[0] += 5
    late = kept.get()
    assert (late.value, late.asked_at, late.late) == (1, 100.0, True)


def test_a_failing_question_keeps_the_last_answer_and_warns_once(slow: Slow, caplog: pytest.LogCaptureFixture) -> None:
    """A question that raises is late too; only its first failure is a warning."""
    now = [100.0]
    slow.go.set()
    kept = Kept("test", slow, empty=0, wait_seconds=5, wall=lambda: now[0])
    kept.get()
    slow.error = OSError("no route")
    for _ in range(3):
        now[0] += 2
        assert (kept.get().value, kept.get().late) == (1, True)
    assert sum("no route" in each.message for each in caplog.records) == 1


def test_forgetting_asks_anew(slow: Slow) -> None:
    """After a change the next caller does not get what was read before it."""
    slow.go.set()
    kept = Kept("test", slow, empty=0, wait_seconds=5)
    kept.get()
    kept.forget()
    assert kept.get().value == 2


def test_a_forked_child_asks_for_itself(slow: Slow) -> None:
    """A question under way in the parent is not waited for in a child."""
    kept = Kept("test", slow, empty=0, wait_seconds=0.01)
    kept.get()
    child = os.fork()
    if child == 0:
        slow.go.set()
        answer = kept.get()
        wait_until(lambda: kept.get().value == 2, seconds=5)
        os._exit(0 if not answer.asked_at or answer.value == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_within_tells_success_failure_and_lateness(slow: Slow, caplog: pytest.LogCaptureFixture) -> None:
    """Only work that ended well in time counts; what it raised is logged."""
    assert within(5, "quick", lambda: None)
    assert not within(0.02, "late", slow)
    slow.error = OSError("refused")
    slow.go.set()
    assert not within(5, "broken", slow)
    assert "refused" in caplog.text


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_where_no_thread_can_be_started_the_answer_is_late(
    slow: Slow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No caller fails or waits, one line says so, and the next call asks again."""
    slow.go.set()
    kept = Kept("test", slow, empty=0, wait_seconds=5)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        assert [kept.get().late for _ in range(2)] == [True, True]
        assert not within(5, "quick", lambda: None)
    assert [caplog.text.count(f"no thread for {name} ") for name in ("status-test", "quick")] == [1, 1]
    assert (kept.get().value, kept.get().late) == (1, False)
