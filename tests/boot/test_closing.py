"""Closers run in reverse, each whatever the others do, once."""

import os
import signal
import threading

import pytest

from settings.boot.closing import Closers


def test_closers_run_in_reverse_and_once() -> None:
    """The second close finds nothing to do."""
    order: list[str] = []
    closers = Closers()
    closers.add("first", lambda: order.append("first"))
    closers.add("second", lambda: order.append("second"))
    closers.close()
    closers.close()
    assert order == ["second", "first"]


def test_a_closer_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Its failure is logged with its name."""
    order: list[str] = []
    closers = Closers()
    closers.add("first", lambda: order.append("first"))
    closers.add("broken", lambda: 1 / 0)
    closers.close()
    assert order == ["first"]
    assert "closing broken failed" in caplog.text


def test_unwound_closes_on_failure_only() -> None:
    """A block that succeeds leaves everything open; one that fails closes it and passes its error on."""
    order: list[str] = []
    closers = Closers()
    closers.add("database", lambda: order.append("database"))
    with closers.unwound():
        pass
    assert order == []
    with pytest.raises(LookupError, match="the step"), closers.unwound():
        raise LookupError("the step")
    assert order == ["database"]


def test_a_second_caller_waits_for_the_first() -> None:
    """Whoever returns from close() may rely on everything being closed."""
    begun, may_end, order = threading.Event(), threading.Event(), list[str]()

    def slow() -> None:
        begun.set()
        may_end.wait(10)
        order.append("closed")

    closers = Closers()
    closers.add("slow", slow)
    first = threading.Thread(target=closers.close)
    first.start()
    begun.wait(10)

    def close_too() -> None:
        closers.close()
        order.append("second returned")

    second = threading.Thread(target=close_too)
    second.start()
    may_end.set()
    first.join(10)
    second.join(10)
    assert order == ["closed", "second returned"]


def test_a_fork_in_the_middle_of_a_close_neither_waits_nor_leaves_a_lock() -> None:
    """A job that forks while the end waits for it gets its child at once, and the child may close for itself."""
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        may_end.wait(20)

    closers = Closers()
    closers.add("left for the child", lambda: None)
    closers.add("slow", slow)
    closing = threading.Thread(target=closers.close)
    closing.start()
    begun.wait(10)
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # ends a child that hangs
        closers.close()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert closing.is_alive()
    may_end.set()
    closing.join(10)
