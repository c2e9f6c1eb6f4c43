"""What happens to counts when processes fork, are told to end, or are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).parent.parent.parent
START = """
import logging, os, signal, sys, threading, time, warnings
from pathlib import Path
from loguru import logger
from settings.logs.model import LogsSettings
from settings.logs.sink import configure_logs
logs = configure_logs(LogsSettings(format="json", file=Path("shop.log"), summary_interval=float(sys.argv[1])),
                      app_name="shop", environment="testing", stream=open(os.devnull, "w"))
def storm(calls):
    for n in range(calls):
        logger.error("payment {} failed", n)
"""


def _start(folder: Path, body: str, *, interval: float = 3600) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(HOUSE)}
    command = [sys.executable, "-c", START + body, str(interval)]
    return subprocess.Popen(command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _run(folder: Path, body: str, *, interval: float = 3600, status: int = 0) -> str:
    process = _start(folder, body, interval=interval)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    return out + errors


def _lines(folder: Path) -> list[dict[str, Any]]:
    file = folder / "shop.log"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _accounted(lines: list[dict[str, Any]], pid: int | None = None) -> int:
    """Return how many errors the lines and summaries of a process, or of all, add up to."""
    own = [line for line in lines if pid is None or line["pid"] == pid]
    passed = sum(str(line["message"]).startswith("payment") for line in own)
    told: list[dict[str, int]] = [
        line["repeated"] for line in own if line.get("repeated", {}).get("event") == "summary"
    ]
    return passed + sum(each["suppressed"] for each in told)


def _written(folder: Path, event: str) -> bool:
    return any(line.get("repeated", {}).get("event") == event for line in _lines(folder))


def test_the_end_of_a_process_tells_the_rest(working_directory: Path) -> None:
    """Without any closing call, the last summary is written when the process ends."""
    _run(working_directory, "storm(1000)")
    assert _accounted(_lines(working_directory)) == 1000


def test_summaries_and_the_end_of_a_storm_come_without_a_further_call(working_directory: Path) -> None:
    """The timer alone sums up, and says when it is over."""
    process = _start(working_directory, "storm(1000)\ntime.sleep(60)", interval=0.2)
    try:
        _until(lambda: _written(working_directory, "over"))
        assert _accounted(_lines(working_directory)) == 1000
    finally:
        process.kill()
        process.communicate()


def test_sigterm_loses_nothing(working_directory: Path) -> None:
    """A server that ends its process in order on SIGTERM, as gunicorn does, has every error told."""
    body = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
storm(1000)
print(flush=True)
time.sleep(60)
"""
    process = _start(working_directory, body)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert _accounted(_lines(working_directory)) == 1000


def test_sigkill_loses_one_interval_at_most(working_directory: Path) -> None:
    """What was held back before the last summary is in the log of a process that was killed."""
    body = """
storm(1000)
while "summary" not in Path("shop.log").read_text():
    time.sleep(0.02)
storm(7)
print(flush=True)
time.sleep(60)
"""
    process = _start(working_directory, body, interval=0.5)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert _accounted(_lines(working_directory)) in (1000, 1007)


@pytest.mark.parametrize("calls", [2_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_a_fork_in_the_middle_of_a_storm(working_directory: Path, calls: int) -> None:
    """Children forked while four threads log begin at zero, tell their own, none hangs; so does the parent."""
    body = f"""
threads = [threading.Thread(target=storm, args=({calls},)) for _ in range(4)]
for each in threads: each.start()
children = []
for _ in range(5):
    if (child := os.fork()) == 0:
        storm(500)
        sys.exit(0)
    children.append(child)
for each in threads: each.join()
for child in children: assert os.waitpid(child, 0)[1] == 0
print(os.getpid())
"""
    parent = int(_run(working_directory, body).split()[0])
    lines = _lines(working_directory)
    children = {line["pid"] for line in lines} - {parent}
    assert len(children) == 5
    assert {_accounted(lines, child) for child in children} == {500}
    assert _accounted(lines, parent) == 4 * calls


def test_a_child_of_multiprocessing_tells_its_own(working_directory: Path) -> None:
    """Such a child runs no atexit; its last summary comes all the same."""
    body = """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=storm, args=(300,))
child.start()
child.join()
assert child.exitcode == 0
"""
    _run(working_directory, body)
    assert _accounted(_lines(working_directory)) == 300


def test_a_child_that_never_ends_in_order_sums_up_by_its_timer(working_directory: Path) -> None:
    """A forked child makes a timer of its own when it holds something back."""
    body = """
if os.fork() == 0:
    storm(300)
    while "summary" not in Path("shop.log").read_text(): time.sleep(0.02)
    os._exit(0)
os.wait()
"""
    _run(working_directory, body, interval=0.2)
    assert _accounted(_lines(working_directory)) == 300


def test_a_closed_standard_output_takes_nothing_down(working_directory: Path) -> None:
    """`| head -1` ends no service, and standard error hears of it once."""
    body = """
reader, writer = os.pipe()
os.close(reader)
logs.close()
logs = configure_logs(LogsSettings(), app_name="shop", environment="testing", stream=open(writer, "w", closefd=False))
for n in range(500): logger.info("hello")
assert logs.figures()["destination_failures"] == 500
"""
    assert _run(working_directory, body).count("log-destination-unusable") == 1


GUNICORN_APP = """
import warnings
from pathlib import Path
from settings.logs.model import LogsSettings
from settings.logs.sink import configure_logs
logs = configure_logs(LogsSettings(format="json", file=Path("shop.log")), app_name="shop", environment="testing")
def app(environ, respond):
    respond("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_gunicorns_own_logs_come_the_same_way(working_directory: Path) -> None:
    """Its error and access lines of a worker that booted are lines of ours, once."""
    import urllib.request

    (working_directory / "shop.py").write_text(GUNICORN_APP)
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:0", "--access-logfile", "-",
               "shop:app"]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(HOUSE)}
    process = subprocess.Popen(command, cwd=working_directory, env=environ, stderr=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert process.stderr is not None
        address = next(line for line in process.stderr if "Listening at" in line).split("at: ")[1].split()[0]
        assert urllib.request.urlopen(address, timeout=20).read() == b"ok"
        _until(lambda: any(line["logger"] == "gunicorn.access" for line in _lines(working_directory)))
    finally:
        process.terminate()
        process.communicate(timeout=20)
    lines = _lines(working_directory)
    assert sum(line["logger"] == "gunicorn.access" for line in lines) == 1
    assert any(line["logger"] == "gunicorn.error" and "exiting" in line["message"] for line in lines)
