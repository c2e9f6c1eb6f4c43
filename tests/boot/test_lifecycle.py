"""Background work starts once, where requests are served, and ends once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings.boot.lifecycle import Lifecycle
from tests.running import environment
from tests.servers import wait_until


class _Life:
    """A lifecycle that counts."""

    def __init__(self, *, decide: bool | None) -> None:
        self.starts = self.closes = self.ends = 0
        self.serves, self.refused = False, 0
        self.lifecycle = Lifecycle(
            start=self._start,
            end_jobs=self._end_jobs,
            close=self._close,
            decide=decide,
            grace=1.0,
            serving=lambda: self.serves,
        )

    def _start(self) -> None:
        if self.refused:
            self.refused -= 1
            raise RuntimeError("can't start new thread")
        self.starts += 1

    def _end_jobs(self) -> bool:
        self.ends += 1
        return False

    def _close(self) -> None:
        self.closes += 1


@pytest.fixture(params=[None])
def life(request: pytest.FixtureRequest) -> Iterator[_Life]:
    """A lifecycle that finds out by itself; a test may ask for another decision."""
    life = _Life(decide=request.param)
    life.lifecycle.arm()
    yield life
    life.lifecycle.close()


def test_nothing_starts_before_the_process_serves(life: _Life) -> None:
    """The watch sees the serving loop, and starts once."""
    assert (life.starts, life.lifecycle.state) == (0, "idle")
    life.serves = True
    wait_until(lambda: life.starts == 1, seconds=5, what="the start")
    assert life.lifecycle.state == "serving"


@pytest.mark.parametrize("life", [True], indirect=True)
def test_start_true_starts_at_once(life: _Life) -> None:
    """The caller overrules what is found out."""
    assert life.starts == 1


@pytest.mark.parametrize("life", [False], indirect=True)
def test_start_false_starts_only_when_asked(life: _Life) -> None:
    """Neither a serving loop nor a request starts anything; start() does, once."""
    life.serves = True
    life.lifecycle.on_request({"SERVER_SOFTWARE": "gunicorn"})
    assert life.starts == 0
    life.lifecycle.start()
    life.lifecycle.start()
    assert life.starts == 1


def test_the_first_real_request_starts(life: _Life) -> None:
    """An unknown server is known by its requests; a test client's request is none."""
    life.lifecycle.on_request({"PATH_INFO": "/"})
    assert life.starts == 0
    life.lifecycle.on_request({"SERVER_SOFTWARE": "unheard-of/1.0"})
    life.lifecycle.on_request({"SERVER_SOFTWARE": "unheard-of/1.0"})
    assert life.starts == 1


def test_a_closed_process_starts_nothing_more(life: _Life) -> None:
    """Close ends the watch, and a late start does nothing."""
    life.lifecycle.close()
    life.lifecycle.start()
    assert life.starts == 0
    assert life.lifecycle.shutting_down


def _in_child(life: _Life) -> str:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, f"{life.lifecycle.state} {life.starts}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(reader, 100).decode()


def test_a_child_of_a_serving_process_starts_nothing(life: _Life) -> None:
    """What multiprocessing forks inherits the registrations and runs none of them."""
    life.lifecycle.start()
    assert _in_child(life) == "inherited 1"


def test_a_child_of_an_idle_process_watches_for_itself(life: _Life) -> None:
    """Gunicorn's master forks workers, which may serve."""
    assert _in_child(life) == "idle 0"


def test_starts_from_many_threads_are_one(life: _Life) -> None:
    """The first requests of a server come together."""
    gate = threading.Barrier(8)

    def request() -> None:
        gate.wait()
        life.lifecycle.on_request({"SERVER_SOFTWARE": "gunicorn"})

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert life.starts == 1


def test_a_start_that_fails_costs_no_request_and_is_tried_again(life: _Life, caplog: pytest.LogCaptureFixture) -> None:
    """A process that can have no more threads answers all the same, and starts with a later request."""
    life.refused = 2
    for _ in range(4):
        life.lifecycle.on_request({"SERVER_SOFTWARE": "unheard-of/1.0"})
    assert (life.starts, life.lifecycle.state) == (1, "serving")
    assert caplog.text.count("[background-not-started]") == 2


def test_a_start_that_fails_is_tried_again_by_the_watch(life: _Life) -> None:
    """Also where no request comes."""
    life.refused, life.serves = 1, True
    wait_until(lambda: life.starts == 1, seconds=5, what="the start")


@pytest.mark.parametrize("life", [False], indirect=True)
def test_a_start_that_was_asked_for_says_that_it_failed(life: _Life) -> None:
    """The caller may ask again."""
    life.refused = 1
    with pytest.raises(RuntimeError):
        life.lifecycle.start()
    life.lifecycle.start()
    assert life.starts == 1


def test_without_a_thread_to_watch_the_first_request_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A boot does not fail for it."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    life = _Life(decide=None)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        life.lifecycle.arm()
    assert "background work starts with the first request" in caplog.text
    life.lifecycle.on_request({"SERVER_SOFTWARE": "unheard-of/1.0"})
    assert life.starts == 1
    life.lifecycle.close()


def test_a_close_within_a_start_is_not_undone(life: _Life) -> None:
    """It waits until the start is noted; what was started then is ended, and the process stays closed."""
    closing = threading.Thread(target=life.lifecycle.close)
    with life.lifecycle._lock:
        closing.start()
        life.lifecycle.start()
        assert not life.lifecycle.shutting_down
    closing.join(10)
    assert life.lifecycle.state == "closed"


ENDING = """
import signal, sys, time
from settings.boot.lifecycle import Lifecycle

stuck = lambda: time.sleep(60)
words = stuck if "mute" in sys.argv else lambda: print("last words", flush=True)
lifecycle = Lifecycle(start=lambda: None, end_jobs=lambda: False, close=stuck, last_words=words, decide=True, grace=0)
lifecycle.arm()
signal.raise_signal(signal.SIGTERM)
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("mute", "status", "output"), [([], -signal.SIGTERM, "last words\n"), (["mute"], -signal.SIGKILL, "")]
)
def test_closers_that_take_too_long_do_not_keep_the_process(
    tmp_path: Path, mute: list[str], status: int, output: str
) -> None:
    """Within a second beyond the grace time the log says the rest and SIGTERM ends it; SIGKILL where that is stuck."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING, *mute], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    )
    said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (status, output)
