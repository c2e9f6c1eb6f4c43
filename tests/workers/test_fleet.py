"""Once per fleet, with real claims: many processes, one run each interval, a take-over."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from settings.database.tables import metadata
from tests.running import environment
from tests.servers import PostgresServer, wait_until
from tests.workers.conftest import MakeWorkers, Open, claims_of

PROCESS = """
import os, pathlib, sys, threading, time
from flask import Flask
from settings.database.claims import Claims
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.model import DatabaseSettings
from settings.workers.context import ApplicationContextManager
from settings.workers.model import WorkersSettings
from settings.workers.scheduler import Workers

url, notes, every, lasts = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
settings = DatabaseSettings(url=url, wait=5, fallback_url=None)
database = DatabaseManager(SmartConnectionManager(settings, app_name="tests", strict=True))
name = lambda: str(os.getpid())
claims = Claims(lambda: database.engine, app_name="tests", owner=name)
workers = Workers(WorkersSettings(), context=ApplicationContextManager(Flask("tests")), claims=claims, owner=name)

@workers.worker(every=every, jitter=0)
def job():
    with notes.open("a") as lines:
        lines.write(f"{os.getpid()} {time.time()}\\n")
    time.sleep(lasts)

workers.start()
threading.Event().wait(120)
"""


class Fleet:
    """Processes that share one job and one database, and note each run in one file."""

    def __init__(self, url: str, folder: Path, *, every: float, lasts: float = 0) -> None:
        self._command = [sys.executable, "-c", PROCESS, url, str(folder / "runs"), str(every), str(lasts)]
        self._notes, self._log = folder / "runs", folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def add(self, number: int) -> None:
        """Start processes."""
        with self._log.open("ab") as log:
            self.processes += [
                subprocess.Popen(self._command, env=environment(), stdout=log, stderr=log) for _ in range(number)
            ]

    def runs(self) -> list[tuple[int, float]]:
        """Return process and time of each run so far."""
        if not self._notes.exists():
            return []
        return [(int(pid), float(at)) for pid, at in map(str.split, self._notes.read_text().splitlines())]

    def log(self) -> str:
        """Return what the processes printed."""
        return self._log.read_text()


@contextlib.contextmanager
def _fleet(url: str, folder: Path, *, number: int, every: float, lasts: float = 0) -> Iterator[Fleet]:
    fleet = Fleet(url, folder, every=every, lasts=lasts)
    try:
        fleet.add(number)
        yield fleet
    finally:
        for each in fleet.processes:
            each.kill()
            each.wait()


@pytest.fixture
def url(open_database: Open) -> str:
    """The URL of a database that has our tables."""
    return open_database().configured_url()


def _gaps(runs: list[tuple[int, float]]) -> list[float]:
    return [later - earlier for (_, earlier), (_, later) in pairwise(runs)]


def _one_run_each_interval(fleet: Fleet, *, every: float, runs: int) -> None:
    # many processes start slowly on a busy machine
    wait_until(lambda: len(fleet.runs()) > 0, seconds=60, what=f"a first run\n{fleet.log()}")
    wait_until(lambda: len(fleet.runs()) > runs, seconds=30 + runs * every, what=f"{runs} runs\n{fleet.log()}")
    gaps = _gaps(fleet.runs())
    # The grid holds on average; a single run may be late on a busy machine, and the next is then early.
    assert sum(gaps) / len(gaps) > 0.9 * every, gaps
    assert min(gaps) > 0.25 * every, gaps


def test_four_processes_run_a_job_once_each_interval(url: str, tmp_path: Path) -> None:
    """However many processes, there is one run an interval, and no context error in their logs."""
    with _fleet(url, tmp_path, number=4, every=0.7) as fleet:
        _one_run_each_interval(fleet, every=0.7, runs=4)
        assert fleet.log() == ""


@pytest.mark.full
@pytest.mark.timeout(200)
def test_twelve_processes_run_a_job_once_each_interval(url: str, tmp_path: Path) -> None:
    """The same with twelve processes and twenty runs of a two-second job."""
    with _fleet(url, tmp_path, number=12, every=2) as fleet:
        _one_run_each_interval(fleet, every=2, runs=20)
        assert fleet.log() == ""


def test_owner_killed_in_its_run_is_replaced_within_two_intervals(url: str, tmp_path: Path) -> None:
    """While the owner runs the job it dies by SIGKILL; another process runs it two intervals later at the latest."""
    every = 1.5
    with _fleet(url, tmp_path, number=3, every=every, lasts=0.8) as fleet:
        wait_until(lambda: len(fleet.runs()) >= 1, what=f"a first run\n{fleet.log()}")
        owner, began = fleet.runs()[-1]
        os.kill(owner, signal.SIGKILL)
        killed = time.time()
        wait_until(lambda: any(pid != owner and at > began for pid, at in fleet.runs()), what="a take-over")
        taken = next(at for pid, at in fleet.runs() if pid != owner and at > began)
        print(f"took over {taken - killed:.2f} s after the kill, interval {every} s")
        assert taken - began < 2 * every + 0.5  # half a second for a busy machine


@pytest.mark.full
@pytest.mark.timeout(200)
def test_hourly_job_whose_owner_is_killed_is_done_again_within_two_minutes(url: str, tmp_path: Path) -> None:
    """A run of a job with a long interval is not lost until its next time."""
    with _fleet(url, tmp_path, number=2, every=3600, lasts=30) as fleet:
        wait_until(lambda: len(fleet.runs()) >= 1, what=f"a first run\n{fleet.log()}")
        owner, began = fleet.runs()[0]
        os.kill(owner, signal.SIGKILL)
        wait_until(lambda: len(fleet.runs()) >= 2, seconds=120, what=f"a take-over\n{fleet.log()}")
        heir, at = fleet.runs()[1]
        print(f"taken over {at - began:.1f} s after it was due, interval one hour")
        assert heir != owner
        assert at - began < 120


def test_long_run_does_not_overlap_with_another_process(url: str, tmp_path: Path) -> None:
    """A job that lasts longer than its interval and its lease is run by one process at a time."""
    with _fleet(url, tmp_path, number=3, every=0.5, lasts=1.2) as fleet:
        wait_until(lambda: len(fleet.runs()) >= 3, what=f"three runs\n{fleet.log()}")
        assert min(_gaps(fleet.runs())) > 1.15


def test_jobs_go_on_after_an_outage_of_the_database(own_postgres: PostgresServer, tmp_path: Path) -> None:
    """With the database killed nobody runs the job; once it is back, the job goes on by itself."""
    from sqlalchemy import create_engine

    url = own_postgres.new_database()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    metadata.create_all(engine)
    engine.dispose()
    with _fleet(url, tmp_path, number=2, every=0.5) as fleet:
        wait_until(lambda: len(fleet.runs()) >= 2)
        own_postgres.kill()
        before = len(fleet.runs())
        wait_until(lambda: fleet.log().count("Workers wait") == 2, what="both to say that they wait")
        assert len(fleet.runs()) <= before + 1
        own_postgres.start()
        wait_until(lambda: len(fleet.runs()) >= before + 3, what="the job to go on")
        assert fleet.log().count("Workers wait") == 2


def test_job_of_each_process_needs_no_database(make_workers: MakeWorkers, open_database: Open) -> None:
    """`once=False` runs in every process, `once=True` in one, on the same claims."""
    counts = {"each": 0, "once": 0}

    def count(name: str) -> None:
        counts[name] += 1

    database = open_database()
    for owner in ("a", "b", "c"):
        workers = make_workers(claims=claims_of(database, owner))
        workers.worker(lambda: count("each"), every=60, name="each", once=False, first=0)
        workers.worker(lambda: count("once"), every=60, name="once", jitter=0)
        workers.start()
    wait_until(lambda: counts["each"] == 3 and counts["once"] == 1)
    (row,) = claims_of(database, "d").history()
    assert (row["job"], row["runs"]) == ("once", 1)
    wait_until(lambda: claims_of(database, "d").history()[0]["outcome"] == "ok")
