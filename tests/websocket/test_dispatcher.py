"""The thread of the handlers."""

import threading
from asyncio import CancelledError
from collections.abc import Callable

import pytest

from settings.websocket.dispatcher import MAX_WAITING_BYTES, Dispatcher
from tests.websocket.gateway import wait_until


def plainly(function: Callable[..., object], *args: object) -> object:
    """Call it."""
    return function(*args)


def test_handlers_run_in_order_on_one_thread_of_their_own() -> None:
    """What is posted runs in its order, never on the poster's thread."""
    dispatcher, seen = Dispatcher(plainly), list[tuple[int, str]]()
    for n in range(50):
        dispatcher.post(lambda n: seen.append((n, threading.current_thread().name)), n)
    dispatcher.close(5)
    assert seen == [(n, "websocket-handlers") for n in range(50)]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), CancelledError()])
def test_one_that_raises_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    """A handler's failure is a line with its traceback and a count; the next one runs."""
    dispatcher, seen = Dispatcher(plainly), list[int]()

    def fails() -> None:
        raise error

    dispatcher.post(fails)
    dispatcher.post(seen.append, 1)
    dispatcher.close(5)
    assert (seen, dispatcher.failures) == ([1], 1)
    [record] = caplog.records
    assert "fails [websocket-handler-failed]" in record.getMessage()
    assert record.exc_info is not None


def test_a_flood_meets_a_limit_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """While a handler hangs, messages wait up to the limit, one line says so, and what must not be lost is not."""
    dispatcher, free, begun = Dispatcher(plainly, limit=3), threading.Event(), threading.Event()
    seen: list[int] = []

    def hangs() -> None:
        begun.set()
        free.wait(10)

    dispatcher.post(hangs)
    begun.wait(5)
    for n in range(10):
        dispatcher.post(seen.append, n)
    dispatcher.post_always(seen.append, 99)
    assert dispatcher.lost == 7
    assert [record.getMessage()[-25:] for record in caplog.records] == ["[websocket-handlers-slow]"]
    free.set()
    dispatcher.close(5)
    assert seen == [0, 1, 2, 99]


def test_what_waits_is_bounded_in_bytes_too() -> None:
    """A hanging handler and large messages do not fill the memory; once it goes on, there is room again."""
    dispatcher, free, begun = Dispatcher(plainly), threading.Event(), threading.Event()
    seen: list[int] = []

    def hangs() -> None:
        begun.set()
        free.wait(10)

    dispatcher.post(hangs, size=MAX_WAITING_BYTES)
    begun.wait(5)
    for n in range(6):
        dispatcher.post(seen.append, n, size=MAX_WAITING_BYTES // 4)
    assert dispatcher.lost == 2
    free.set()
    wait_until(lambda: len(seen) == 4)
    dispatcher.post(seen.append, 9, size=MAX_WAITING_BYTES)
    dispatcher.close(5)
    assert (seen, dispatcher.lost) == ([0, 1, 2, 3, 9], 2)


def test_without_a_thread_handlers_wait(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started nothing is raised, and a later message finds the thread for both."""
    dispatcher, seen = Dispatcher(plainly), list[int]()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        dispatcher.post(seen.append, 1)
    dispatcher.post(seen.append, 2)
    dispatcher.close(5)
    assert seen == [1, 2]
    assert "[websocket-handlers-wait]" in caplog.text


def test_a_close_waits_no_longer_than_its_grace() -> None:
    """A handler that hangs holds nobody; later posts do nothing."""
    dispatcher, free = Dispatcher(plainly), threading.Event()
    dispatcher.post(free.wait, 10)
    dispatcher.close(0.01)
    dispatcher.post(free.set)
    assert not free.is_set()
    free.set()


def test_without_handlers_there_is_no_thread() -> None:
    """The thread starts with the first job."""
    dispatcher = Dispatcher(plainly)
    before = set(threading.enumerate())
    dispatcher.close(1)
    assert set(threading.enumerate()) <= before


def test_a_handler_may_close(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that ends the client does not wait for itself."""
    dispatcher = Dispatcher(plainly)
    dispatcher.post(dispatcher.close, 5.0)
    wait_until(lambda: not any(each.name == "websocket-handlers" for each in threading.enumerate()), seconds=2)
    assert not caplog.records
