"""The files of processes that ended."""

import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from settings.status.ended_files import alone, fold
from settings.status.prometheus_files import PrometheusFiles
from settings.status.tally import Tally
from tests.status.scraped import Samples, requests, scrape


def in_a_child(work: Callable[[], object]) -> None:
    """Do some work in a process of its own, which is then killed."""
    child = os.fork()
    if child == 0:
        work()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def count_once(folder: Path, seconds: float = 0.1) -> None:
    """Count one request into the files of this process."""
    files = PrometheusFiles(folder)
    files.requests("pay", 200, 1)
    files.durations("pay", seconds, [("0.1", 1), ("+Inf", 0)])


def names(folder: Path) -> list[str]:
    """Return the names of the files of counts."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".db", ".new", ".sums", ".json"))


def scraped(folder: Path) -> Samples:
    """Return what a scrape finds in a folder."""
    return scrape(Tally(folder))


def test_many_that_ended_are_two_files(tmp_path: Path) -> None:
    """However many workers come and go, their counts stay, and the files are one of each kind."""
    for done in range(1, 6):
        in_a_child(lambda: count_once(tmp_path))
        assert requests(scraped(tmp_path)) == done
        assert names(tmp_path) == ["counter_ended.db", "histogram_ended.db"]
    found = scraped(tmp_path)
    assert found["twelvefactor_http_request_duration_seconds_count", frozenset({("endpoint", "pay")})] == 5


def test_one_that_begins_tidies_up(tmp_path: Path) -> None:
    """Where nobody scrapes, the files do not pile up either."""
    for _ in range(3):
        in_a_child(lambda: count_once(tmp_path))
    files = PrometheusFiles(tmp_path)
    assert len(names(tmp_path)) == 4
    files.close()
    assert requests(scraped(tmp_path)) == 3


def test_a_file_that_was_only_begun_goes(tmp_path: Path) -> None:
    """What a killed process left unnamed counts nothing and takes no room."""
    in_a_child(lambda: (tmp_path / f"counter_{os.getpid()}-abc.new").write_bytes(b"0"))
    assert scraped(tmp_path) == {}
    assert names(tmp_path) == ["counter_ended.db", "histogram_ended.db"]


@pytest.mark.parametrize("step", ["sums", "journal", "first rename", "first unlink"])
def test_a_kill_in_the_midst_counts_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whenever the one that adds up is killed, the next one finds the same counts."""
    for _ in range(2):
        in_a_child(lambda: count_once(tmp_path))

    def killed() -> None:
        die_at(monkeypatch, step)
        with alone(tmp_path):
            fold(tmp_path)

    in_a_child(killed)
    assert requests(scraped(tmp_path)) == 2
    assert names(tmp_path) == ["counter_ended.db", "histogram_ended.db"]


def die_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let this process be killed in a step of adding up."""

    def die(*_arguments: object, **_options: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    rename = Path.rename

    def rename_and_die(path: Path, target: Path) -> Path:
        done = rename(path, target)
        if path.suffix == (".draft" if step == "journal" else ".sums"):
            die()
        return done

    if step == "sums":
        monkeypatch.setattr("settings.status.ended_files._decide", die)
    elif step == "first unlink":
        monkeypatch.setattr(Path, "unlink", lambda path, **_: die() if path.suffix == ".db" else None)
    else:
        monkeypatch.setattr(Path, "rename", rename_and_die)


def test_sums_of_seconds_never_go_back(tmp_path: Path) -> None:
    """A rounding must not make a sum less, in whatever order it is added up: it would be a new counter."""
    last, key = 0.0, ("twelvefactor_http_request_duration_seconds_sum", frozenset({("endpoint", "pay")}))
    for seconds in (0.1, 1e9 / 7, 0.3, 2 / 3, 1e-3, 1e5 / 3):
        in_a_child(partial(count_once, tmp_path, seconds))
        before = as_they_lie(tmp_path, key[0])
        after = scraped(tmp_path)[key]
        assert after == before >= last
        last = after


def as_they_lie(folder: Path, name: str) -> float:
    """Return a sample over the files before they are added up."""
    metrics = MultiProcessCollector.merge([str(path) for path in folder.glob("*.db")])  # type: ignore[no-untyped-call] # the library annotates in part
    return float(next(each.value for metric in metrics for each in metric.samples if each.name == name))


def test_a_frozen_neighbour_makes_nobody_wait_for_long(tmp_path: Path) -> None:
    """When another one is at the files and does not end, a scrape is refused in time, and counting goes on."""
    held, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with alone(tmp_path):
            held.set()
            ended.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    begin = time.monotonic()
    with pytest.raises(BlockingIOError), alone(tmp_path, wait_seconds=0.1):
        pass
    PrometheusFiles(tmp_path).close()
    assert time.monotonic() - begin < 5
    ended.set()
    thread.join()


def test_a_full_disk_keeps_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without room for the sum a scrape still finds every count, and says what to do."""
    in_a_child(lambda: count_once(tmp_path))

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    assert requests(scraped(tmp_path)) == 1
    assert "metrics-files-kept" in caplog.text


_HEAD = struct.pack("=iii", 64, 0, 9)


@pytest.mark.parametrize("damage", [b"", _HEAD, _HEAD + b"\xff" * 52, _HEAD + b"no json!!" + b"\0" * 43])
@pytest.mark.parametrize("ended", [True, False])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes, *, ended: bool
) -> None:
    """One line names it, once; all other counts go on, those of a process that ended and of one that lives."""
    in_a_child(lambda: count_once(tmp_path))
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    (tmp_path / f"counter_{process if ended else os.getpid()}-abc.db").write_bytes(damage)
    assert [requests(scraped(tmp_path)) for _ in range(2)] == [1, 1]
    assert caplog.text.count("metrics-file-damaged") == 1
    assert [path.name for path in tmp_path.glob("*.db")] == ["counter_ended.db", "histogram_ended.db"]
