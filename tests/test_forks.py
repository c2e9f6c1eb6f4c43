"""Forks from many threads at once, and things that come to be watched meanwhile."""

import gc
import logging
import os
import sys
from pathlib import Path

import pytest

from settings.forks import watch_forks
from tests.running import run

MANY = """
import os
import sys
import threading

from settings.forks import watch_forks

ended, kept = threading.Event(), []


class Locked:
    def __init__(self):
        self.lock = threading.RLock()
        watch_forks(self)

    def before_fork(self):
        self.lock.acquire()

    def after_fork_in_parent(self):
        self.lock.release()

    def after_fork_in_child(self):
        self.lock = threading.RLock()


def forks():
    for _ in range(60):
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)


def grows():
    while not ended.is_set():
        kept.append(Locked())
        if len(kept) > 200:
            del kept[5:]


sys.setswitchinterval(1e-6)
kept += [Locked() for _ in range(5)]
first = kept[0]
threading.Thread(target=grows).start()
threads = [threading.Thread(target=forks) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ended.set()
taken = []
asking = threading.Thread(target=lambda: taken.append(first.lock.acquire(timeout=5)))
asking.start()
asking.join()
print("free" if taken == [True] else "held")
"""


def test_threads_that_fork_at_once_leave_no_lock_behind(tmp_path: Path) -> None:
    """Each hook meets its own fork, no hook fails, and every lock is free afterwards."""
    warned = "ignore:This process:DeprecationWarning"  # Python 3.12 says so of every fork beside threads
    done = run([sys.executable, "-W", warned, "-c", MANY], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "free\n", "")


class _Notes:
    """Writes down which hook was called."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self._name, self._calls = name, calls

    def before_fork(self) -> None:
        """Note it."""
        self._calls.append(f"before {self._name}")

    def after_fork_in_parent(self) -> None:
        """Note it."""
        self._calls.append(f"parent {self._name}")

    def after_fork_in_child(self) -> None:
        """Note it."""
        self._calls.append(f"child {self._name}")


def _words_of_a_child(calls: list[str]) -> str:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, ",".join(calls).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as words:
        return words.read()


def test_locks_are_taken_in_order_and_released_in_reverse() -> None:
    """The child mends in the order of registration."""
    calls: list[str] = []
    kept = [_Notes(name, calls) for name in ("one", "two")]
    for each in kept:
        watch_forks(each)
    assert _words_of_a_child(calls) == "before one,before two,child one,child two"
    assert calls == ["before one", "before two", "parent two", "parent one"]


def test_what_is_first_comes_before_all_others() -> None:
    """A connection is younger than the sessions that use it, and is mended before they are forgotten."""
    calls: list[str] = []
    old, young = _Notes("old", calls), _Notes("young", calls)
    watch_forks(old)
    watch_forks(young, first=True)
    assert _words_of_a_child(calls) == "before young,before old,child young,child old"


def test_what_is_last_is_locked_last_and_mended_before_the_others() -> None:
    """The log: whoever holds another lock may want it, and so may the hooks of a child."""
    calls: list[str] = []
    old, young, connection = _Notes("old", calls), _Notes("young", calls), _Notes("connection", calls)
    watch_forks(old, last=True)
    watch_forks(young)
    watch_forks(connection, first=True)
    words = "before connection,before young,before old,child connection,child old,child young"
    assert _words_of_a_child(calls) == words
    assert calls[3:] == ["parent old", "parent young", "parent connection"]


class _Fails(_Notes):
    """Fails in one of its hooks, after it has noted it."""

    def __init__(self, hook: str, calls: list[str]) -> None:
        super().__init__("failing", calls)
        self.hook = hook

    def _fail_in(self, hook: str) -> None:
        if hook == self.hook:
            raise OSError("too many open files")

    def before_fork(self) -> None:
        """Note it."""
        super().before_fork()
        self._fail_in("before")

    def after_fork_in_parent(self) -> None:
        """Note it."""
        super().after_fork_in_parent()
        self._fail_in("parent")

    def after_fork_in_child(self) -> None:
        """Note it, and what is logged once all is mended."""
        super().after_fork_in_child()
        logging.getLogger("settings.forks").addFilter(self._note)
        self._fail_in("child")

    def _note(self, record: logging.LogRecord) -> bool:
        self._calls.append(record.getMessage())
        return True


@pytest.mark.parametrize("hook", ["before", "parent", "child"])
def test_a_hook_that_fails_hinders_no_other(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    """All others are called, what failed is logged afterwards, and the next fork finds every lock free."""
    calls: list[str] = []
    failing, other = _Fails(hook, calls), _Notes("other", calls)
    watch_forks(failing)
    watch_forks(other)
    words = "_Fails.after_fork_in_child failed; all other hooks of this fork were called [fork-hook-failed]"
    child = ["child failing", "child other", *([words] if hook == "child" else [])]
    for _ in range(2):
        calls.clear()
        assert _words_of_a_child(calls) == ",".join(["before failing", "before other", *child])
        released = ["parent other", *(["parent failing"] if hook != "before" else [])]
        assert calls == ["before failing", "before other", *released]
    failing.hook = ""  # its traceback keeps it alive for longer than this test
    assert caplog.text.count("OSError: too many open files") == 2 * (hook != "child")


class _Asks(_Notes):
    """Writes down whether garbage is collected while it is called."""

    def after_fork_in_child(self) -> None:
        """Note it."""
        self._calls.append(f"child {gc.isenabled()}")


@pytest.mark.parametrize("collects", [True, False])
def test_no_garbage_is_collected_while_a_child_is_mended(collects: bool) -> None:
    """Afterwards it is again, in parent and child, unless somebody had turned it off."""
    calls: list[str] = []
    asks = _Asks("asks", calls)
    watch_forks(asks)
    try:
        (gc.enable if collects else gc.disable)()
        assert _words_of_a_child(calls) == "before asks,child False"
        assert gc.isenabled() is collects
        if (child := os.fork()) == 0:
            os._exit(gc.isenabled() is not collects)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        gc.enable()


def test_what_nobody_keeps_is_forgotten() -> None:
    """The hooks cannot be taken back, so they hold nothing alive."""
    calls: list[str] = []
    watch_forks(_Notes("gone", calls))
    assert _words_of_a_child(calls) == ""
    assert calls == []
