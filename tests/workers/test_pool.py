"""The pool for work on demand: in order, bounded, and never in an exit's way."""

import threading
from collections.abc import Callable

import pytest

from settings.workers.pool import DaemonPool
from tests.servers import wait_until


def _appending(done: list[int], number: int) -> Callable[[], object]:
    return lambda: done.append(number)


def test_work_is_done_in_order_by_one_thread() -> None:
    """One thread does what is submitted one after the other."""
    pool, done = DaemonPool(max_threads=1), list[int]()
    for number in range(100):
        assert pool.submit("work", _appending(done, number))
    assert pool.close(5) == 0
    assert done == list(range(100))


def test_threads_are_bounded_and_daemons() -> None:
    """However much waits, no more threads than allowed work at a time."""
    pool, go, seen = DaemonPool(max_threads=3), threading.Event(), []

    def work() -> None:
        seen.append(threading.current_thread())
        go.wait(10)

    for _ in range(10):
        pool.submit("work", work)
    wait_until(lambda: len(seen) == 3)
    assert pool.unfinished == 10
    assert all(each.daemon for each in seen)
    go.set()
    assert pool.close(5) == 0
    assert len({each.ident for each in seen}) == 3


def test_work_beyond_the_limit_is_refused() -> None:
    """When as much waits as may, more is refused, and nothing of the rest is lost."""
    pool, began, go, done = DaemonPool(max_threads=1, max_waiting=2), threading.Event(), threading.Event(), list[int]()

    def first() -> None:
        began.set()
        go.wait(10)

    pool.submit("first", first)
    assert began.wait(5)
    assert pool.submit("second", _appending(done, 2)) is True
    assert pool.submit("third", _appending(done, 3)) is True
    assert pool.submit("fourth", _appending(done, 4)) is False
    go.set()
    assert pool.close(5) == 0
    assert done == [2, 3]


def test_close_counts_what_is_left_undone() -> None:
    """A close returns at its time with the number of calls not done; nothing is taken after it."""
    pool, go = DaemonPool(max_threads=1), threading.Event()
    pool.submit("long", lambda: go.wait(10))
    pool.submit("waits", lambda: None)
    assert pool.close(0.05) == 2
    assert pool.submit("late", lambda: None) is False
    go.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_work_that_raises_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever raises is logged with its name, and the next work is done."""
    pool, done = DaemonPool(max_threads=1), list[int]()
    pool.submit("bad", lambda: 1 / 0)
    pool.submit("exit", lambda: exec("raise SystemExit"))
    pool.submit("good", _appending(done, 1))
    assert pool.close(5) == 0
    assert done == [1]
    assert caplog.messages == ["Task bad failed outside its function", "Task exit failed outside its function"]
