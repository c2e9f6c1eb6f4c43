"""The watchdog: cuts what outlives its deadline, once, and leaves the rest alone."""

import gc
import os
import threading
import time
from math import inf

import pytest

from settings.database.connection import SmartConnectionManager
from settings.database.deadline import Watchdog
from settings.database.model import DatabaseSettings
from tests.proxy import TcpProxy
from tests.servers import PostgresServer, wait_until


class FakeLink:
    """Counts how often it was cut, or fails to be."""

    def __init__(self, *, broken: bool = False) -> None:
        self.cuts, self.broken = 0, broken

    def cut(self) -> None:
        """Count."""
        self.cuts += 1
        if self.broken:
            raise OSError("no socket")


def test_what_ends_in_time_is_not_cut() -> None:
    """A disarmed operation is never cut, and disarming says that it was not."""
    watchdog, link, late = Watchdog(), FakeLink(), FakeLink()
    watchdog.arm(link, 0.5)
    assert watchdog.disarm(link) is False
    watchdog.arm(late, 0.6)
    wait_until(lambda: late.cuts == 1)
    assert link.cuts == 0


def test_what_outlives_its_deadline_is_cut_once_and_counted() -> None:
    """The operation is cut, disarming says so, and the count shows it."""
    watchdog, link = Watchdog(), FakeLink()
    watchdog.arm(link, 0.01)
    wait_until(lambda: link.cuts == 1)
    assert watchdog.disarm(link) is True
    assert (link.cuts, watchdog.expired) == (1, 1)


def test_nearer_deadline_wakes_the_sleeping_thread() -> None:
    """An operation armed later with a nearer deadline is cut first."""
    watchdog, far, near = Watchdog(), FakeLink(), FakeLink()
    watchdog.arm(far, 60)
    watchdog.arm(near, 0.01)
    assert wait_until(lambda: near.cuts == 1) < 30
    assert far.cuts == 0
    watchdog.disarm(far)


def test_link_that_cannot_be_cut_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    """Others are still cut, and the failure is in the log."""
    watchdog, broken, link = Watchdog(), FakeLink(broken=True), FakeLink()
    watchdog.arm(broken, 0.01)
    wait_until(lambda: broken.cuts == 1)
    watchdog.arm(link, 0.01)
    wait_until(lambda: link.cuts == 1)
    assert "could not be cut off" in caplog.text


def test_allowed_is_the_nearest_of_all_limits() -> None:
    """The deadline of each operation and those of nested blocks: the nearest counts, and ends with its block."""
    now = [100.0]
    watchdog = Watchdog(5, clock=lambda: now[0])
    assert watchdog.allowed() == 5
    with watchdog.within(3), watchdog.within(10):
        now[0] += 1
        assert watchdog.allowed() == 2
        with watchdog.within(None):
            assert watchdog.allowed() == 5
        now[0] += 9
        assert watchdog.allowed() == 0
    assert watchdog.allowed() == 5
    assert Watchdog(0).allowed() == inf


def test_a_block_without_hurry_is_bounded_by_within_alone() -> None:
    """The deadline of every operation is back at its end."""
    watchdog = Watchdog(5, clock=lambda: 100.0)
    with watchdog.unhurried():
        assert watchdog.allowed() == inf
        with watchdog.within(10):
            assert watchdog.allowed() == 10
    assert watchdog.allowed() == 5


def test_limit_of_a_block_is_its_threads_own() -> None:
    """Another thread is not bounded by it."""
    watchdog, seen = Watchdog(), []
    with watchdog.within(1):
        thread = threading.Thread(target=lambda: seen.append(watchdog.allowed()))
        thread.start()
        thread.join()
    assert seen == [inf]


def test_idle_thread_ends_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without work there is no thread, and the next operation has one again."""
    monkeypatch.setattr("settings.database.deadline.LINGER_SECONDS", 0.02)
    watchdog, first, second = Watchdog(), FakeLink(), FakeLink()
    watchdog.arm(first, 0.01)
    wait_until(lambda: first.cuts == 1)
    wait_until(lambda: watchdog.disarm(first) and not watchdog.is_watching())
    watchdog.arm(second, 0.01)
    wait_until(lambda: second.cuts == 1)


def test_child_of_a_fork_watches_anew() -> None:
    """The parent's operations are not cut in a child, and the child's own are."""
    watchdog, parents, childs = Watchdog(), FakeLink(), FakeLink()
    watchdog.arm(parents, 0.3)
    child = os.fork()
    if child == 0:
        watchdog.arm(childs, 0.4)
        wait_until(lambda: childs.cuts == 1)
        os._exit(parents.cuts)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    wait_until(lambda: parents.cuts == 1)


def test_operation_begun_on_the_watchdogs_own_thread_is_cut_at_once() -> None:
    """The garbage collector may begin one in any line there; nobody else would end its wait, and the watch goes on."""
    inner, link = FakeLink(), FakeLink()

    def clock() -> float:
        if threading.current_thread().name == "database-deadline":
            watchdog.arm(inner, 60)
            assert watchdog.disarm(inner)
        return time.monotonic()

    watchdog = Watchdog(clock=clock)
    watchdog.arm(link, 0.01)
    wait_until(lambda: link.cuts == 1, seconds=5)
    assert inner.cuts > 0
    assert watchdog.disarm(link)


class Collects(FakeLink):
    """Has garbage collected on the thread that cuts it."""

    def cut(self) -> None:
        """Collect."""
        gc.collect()
        super().cut()


def test_leaked_connection_of_a_frozen_server_does_not_end_the_watch(postgres: PostgresServer, proxy: TcpProxy) -> None:
    """The collector rolls it back on the watchdog's thread, where that waits for nothing."""
    proxy.target = postgres.port
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
    manager = SmartConnectionManager(DatabaseSettings(url=url, wait=0, timeout=5))
    engine = manager.connect().engine
    assert engine is not None
    leaked = [engine.connect()]
    leaked[0].exec_driver_sql("SELECT 1")
    leaked.append(leaked)  # type: ignore[arg-type] # a cycle, which only the collector ends
    proxy.freeze()
    del leaked
    collects, link = Collects(), FakeLink()
    manager.watchdog.arm(collects, 0)
    wait_until(lambda: collects.cuts == 1, seconds=5)
    manager.watchdog.arm(link, 0)
    wait_until(lambda: link.cuts == 1, seconds=5)
    manager.disconnect()


def test_operation_goes_on_where_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no deadline then, which is said once; the next operation tries again, and both are watched."""
    watchdog, first, second = Watchdog(), FakeLink(), FakeLink()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        watchdog.arm(first, 0)
        assert not watchdog.is_watching()
        watchdog.arm(second, 60)
    assert caplog.text.count("no deadline is kept") == 1
    watchdog.disarm(second)
    watchdog.arm(second, 60)
    wait_until(lambda: first.cuts == 1, seconds=5)
    assert watchdog.disarm(second) is False
