"""Background work starts once, where requests are served, and ends once."""

import os
import threading
from collections.abc import Iterator

import pytest

from settings.boot.lifecycle import Lifecycle
from tests.servers import wait_until


class _Life:
    """A lifecycle that counts."""

    def __init__(self, *, decide: bool | None) -> None:
        self.starts = self.closes = self.ends = 0
        self.serves = False
        self.lifecycle = Lifecycle(
            start=self._start,
            end_jobs=self._end_jobs,
            close=self._close,
            decide=decide,
            grace=1.0,
            serving=lambda: self.serves,
        )

    def _start(self) -> None:
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
