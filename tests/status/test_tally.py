"""Counting in one process, and where the processes of a server meet."""

import gc
import json
import os
import struct
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from settings.status.prometheus_files import PrometheusFiles
from settings.status.tally import SECONDS_BUCKETS, Tally, server_folder
from tests.servers import wait_until
from tests.status.scraped import requests, scrape


def test_a_histogram_adds_up(tmp_path: Path) -> None:
    """Buckets are cumulative, the count is that of all requests, the sum that of their seconds."""
    tally = Tally(tmp_path / "files", write_after_seconds=0)
    durations = [0.001, 0.005, 0.3, 60.0]
    for seconds in durations:
        tally.observe("pay", 200, seconds)
    wait_until(lambda: (tmp_path / "files").exists(), what="the files")
    wait_until(lambda: requests(scrape(tally)) == 4, what="all requests in the file")
    name, labels = "twelvefactor_http_request_duration_seconds", {("endpoint", "pay")}
    found = scrape(tally)
    for bound in SECONDS_BUCKETS:
        expected = sum(each <= bound for each in durations)
        assert found[f"{name}_bucket", frozenset({*labels, ("le", str(bound))})] == expected
    assert found[f"{name}_count", frozenset(labels)] == 4
    assert found[f"{name}_sum", frozenset(labels)] == pytest.approx(sum(durations))


def test_counts_before_and_after_the_files_are_open(tmp_path: Path) -> None:
    """What was counted in memory is not lost when the files are opened, and nothing is counted twice."""
    tally = Tally(tmp_path / "files", write_after_seconds=0.05)
    for _ in range(5):
        tally.observe("pay", 200, 0.1)
    tally.put("twelvefactor_errors_seen", "Errors.", {}, 3)
    assert requests(scrape(tally)) == 5
    for _ in range(5):
        tally.observe("pay", 200, 0.1)
    tally.observe("other", 404, 0.1)
    wait_until(lambda: requests(scrape(tally), "other", "404") == 1, seconds=10, what="the last request")
    assert requests(scrape(tally)) == 10


def test_the_end_of_a_process_loses_no_count(tmp_path: Path) -> None:
    """What waits to be written is written when the process ends, or the application is gone."""
    tally = Tally(tmp_path / "files", write_after_seconds=30)
    tally.put("x", "X.", {}, 1)
    tally.observe("pay", 200, 0.1)
    del tally
    gc.collect()
    assert requests(scrape(Tally(tmp_path / "files"))) == 1


def test_a_closed_tally_makes_no_file_any_more(tmp_path: Path) -> None:
    """What is counted, put or waits when it is closed brings no folder back that was deleted since."""
    folder, earlier = tmp_path / "gone", set(threading.enumerate())
    tally = Tally(folder, write_after_seconds=0.05)
    tally.observe("index", 200, 0.1)
    tally.close()
    tally.observe("index", 200, 0.1)
    tally.put("runs", "Runs.", {}, 1)
    wait_until(lambda: set(threading.enumerate()) <= earlier, what="the end of the writer")
    assert not folder.exists()


def test_threads_lose_no_count(tmp_path: Path) -> None:
    """Eight threads count, while the files are written, to the last request."""
    tally = Tally(tmp_path / "files", write_after_seconds=0.01)

    def count() -> None:
        for _ in range(500):
            tally.observe("pay", 200, 0.1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: requests(scrape(tally)) == 4000, seconds=10, what="all requests")


def test_all_processes_of_a_server_add_up(tmp_path: Path) -> None:
    """A child that was forked counts from zero in a file of its own, and its counts outlive it."""
    tally = Tally(tmp_path / "files", write_after_seconds=30)
    tally.observe("pay", 200, 0.1)
    tally.put("x", "X.", {}, 1)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            tally.observe("pay", 200, 0.1)
            tally.put("x", "X.", {}, 1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert requests(scrape(tally)) == 4


def test_processes_of_a_group_meet_without_a_word(tmp_path: Path) -> None:
    """Master and workers of one server find the same folder, another server another one, and dead ones' go."""
    program = textwrap.dedent(
        """
        import json, os, pathlib, sys
        from settings.status.tally import server_folder
        parent = pathlib.Path(sys.argv[1])
        mine = server_folder("shop", parent=parent)
        mine.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        worker = os.fork()
        if worker == 0:
            os.write(writing, str(server_folder("shop", parent=parent)).encode())
            os._exit(0)
        os.waitpid(worker, 0)
        print(json.dumps([str(mine), os.read(reading, 1000).decode()]))
        """
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    folders = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
        master, worker = json.loads(done.stdout)
        assert master == worker
        folders.append(Path(master))
    assert folders[0] != folders[1]
    assert server_folder("shop", parent=tmp_path) not in folders
    assert not folders[1].exists()


def test_a_server_outlives_the_script_that_started_it(tmp_path: Path) -> None:
    """A worker that begins after the group's first process has ended still meets the others."""
    program = textwrap.dedent(
        """
        import os, pathlib, sys, time
        from settings.status.tally import server_folder
        parent, leader = pathlib.Path(sys.argv[1]), os.getpid()
        mine = server_folder("shop", parent=parent)
        mine.mkdir()
        print(mine, flush=True)
        if os.fork() == 0:
            while pathlib.Path(f"/proc/{leader}").exists():
                time.sleep(0.01)
            print(server_folder("shop", parent=parent), flush=True)
        os._exit(0)
        """
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as leader:
        assert leader.wait() == 0
        assert leader.stdout is not None
        first, later = leader.stdout.read().split()
    assert first == later


def test_an_unusable_folder_costs_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the files cannot be made, one warning names TMPDIR and requests are counted on in memory."""
    tally = Tally(tmp_path / "missing" / "files", write_after_seconds=0)
    tally.observe("pay", 200, 0.1)
    wait_until(lambda: "metrics-unavailable" in caplog.text, what="the warning")
    tally.observe("pay", 200, 0.1)
    assert caplog.text.count("metrics-unavailable") == 1


def test_counts_that_are_dropped_in_the_midst_of_a_write_end_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector may close them on the very thread that writes: it does not wait for itself."""
    tally = Tally(tmp_path, write_after_seconds=3600)
    tally.observe("hello", 200, 0.01)
    counts = tally._counts
    opened = counts.opened

    def collected_meanwhile() -> PrometheusFiles:
        counts.close()
        return opened()

    monkeypatch.setattr(counts, "opened", collected_meanwhile)
    with counts.lock:
        counts.write()
    assert counts.ended.is_set()
    wait_until(lambda: counts.writer is None or not counts.writer.is_alive(), what="the end of the writer")


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_where_no_thread_can_be_started_requests_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No request suffers, one line says so, and a later request starts the thread that writes them all."""
    tally = Tally(tmp_path / "files", write_after_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        tally.observe("pay", 200, 0.1)
        tally.observe("pay", 200, 0.1)
    assert caplog.text.count("status-no-thread") == 1
    tally.observe("pay", 200, 0.1)
    wait_until(lambda: (tmp_path / "files").exists() and requests(scrape(tally)) == 3, seconds=10, what="all requests")


def test_a_fault_of_one_write_does_not_end_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is raised is said, and what is counted later is written."""
    tally = Tally(tmp_path / "files", write_after_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(tally._counts, "opened", lambda: struct.unpack("i", b""))
        tally.observe("pay", 200, 0.1)
        wait_until(lambda: "metrics-unavailable" in caplog.text, what="the warning")
    tally.observe("pay", 200, 0.1)
    wait_until(lambda: (tmp_path / "files").exists() and requests(scrape(tally)) == 2, seconds=10, what="all requests")
