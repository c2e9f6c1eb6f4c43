"""Celery for real: two workers and two beats on a real Redis, killed in turn, under the same context and claims."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from celery import Celery

from settings.database.tables import metadata
from tests.readme import said
from tests.running import environment
from tests.servers import PostgresServer, RedisServer, process_tree, signal_tree, wait_until

APPLICATION = """
import logging, os, pathlib, sys, time
import flask
from settings.boot.names import ProcessName
from settings.database.alerts import Alerts
from settings.database.claims import Claims
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.model import DatabaseSettings
from settings.database.retention import Retention
from settings.workers.builtin import register_builtin
from settings.workers.celery import build_celery
from settings.workers.context import ApplicationContextManager
from settings.workers.model import WorkersSettings
from settings.workers.performance import PerformanceMonitor
from settings.workers.scheduler import Workers

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(processName)s %(message)s")
connections = DatabaseSettings(url=os.environ["TEST_DATABASE"], wait=5, fallback_url=None)
database = DatabaseManager(SmartConnectionManager(connections, app_name="tests", strict=True))
name, notes = ProcessName(), pathlib.Path(os.environ["TEST_NOTES"])
claims = Claims(lambda: database.engine, app_name="tests", owner=name)
context = ApplicationContextManager(flask.Flask("tests"), cleanup=database.remove_session)
settings = WorkersSettings(
    engine="celery", broker_url=os.environ["TEST_BROKER"], health_interval=1, performance_interval=1,
    cleanup_interval=1, grace=1,
)
workers = Workers(settings, context=context, claims=claims, owner=name)
monitor = PerformanceMonitor(latency_threshold_ms=1000, error_rate_threshold=0.05)

def note(word):
    with notes.open("a") as lines:
        lines.write(f"{word} {os.getpid()} {time.time()} {flask.has_app_context()}\\n")

register_builtin(
    workers, settings, look=lambda: note("look"), monitor=monitor, alerts=Alerts(lambda: database.engine),
    retention=Retention(lambda: database.engine),
)
celery, publisher = build_celery(workers, settings, app_name="tests")
celery.conf.broker_transport_options = {"visibility_timeout": 4}

@workers.worker(every=1, jitter=0)
def own():
    note("own")

@workers.task
def slow(seconds):
    note("slow-began")
    time.sleep(seconds)
    note("slow-ended")

@workers.task
def fails():
    raise ValueError("as it should")
"""


class CeleryFleet:
    """Workers and beats of one application, with all that they note and print."""

    def __init__(self, folder: Path, database: str, broker: str) -> None:
        (folder / "wsgi.py").write_text(APPLICATION)
        self.folder, self._notes = folder, folder / "notes"
        variables = {"TEST_DATABASE": database, "TEST_BROKER": broker, "TEST_NOTES": self._notes}
        self._environment = environment(**variables)
        self._environment["PYTHONPATH"] += f":{folder}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._client = Celery("client", broker=broker, set_as_current=False)

    def start(self, kind: str, number: int) -> None:
        """Start a worker, with two processes, or a beat, by the README's command."""
        command = shlex.split(said(f"celery -A wsgi:celery {kind}"))
        options = ["-c", "2", "-n", f"{kind}{number}@tests", "--without-gossip", "--without-mingle"]
        options = options if kind == "worker" else []
        with (self.folder / f"{kind}{number}.log").open("ab") as log:
            self.processes[f"{kind}{number}"] = subprocess.Popen(
                [sys.executable, "-m", *command, *options], cwd=self.folder,
                env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def times(self, word: str) -> list[float]:
        """Return when a word was noted."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        assert all(line.endswith("True") for line in lines)
        return [float(line.split()[2]) for line in lines if line.split()[0] == word]

    def pids(self, word: str) -> list[int]:
        """Return the processes that noted a word."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == word]

    def running(self, pid: int) -> subprocess.Popen[bytes]:
        """Return the worker to whose pool a process belongs."""
        return next(each for each in self.processes.values() if pid in process_tree(each.pid))

    def log(self) -> str:
        """Return what all of them printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def delay(self, task: str, *arguments: object) -> None:
        """Publish a call of a task."""
        self._client.send_task(task, args=arguments, queue="tests", ignore_result=True)

    def close(self) -> None:
        """Kill all of them."""
        self._client.close()
        for each in self.processes.values():
            signal_tree(each.pid, signal.SIGKILL)
            each.wait()


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    """A Redis of this module's own."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def fleet(
    postgres: PostgresServer, broker: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CeleryFleet]:
    """Two workers and two beats, which run until the module ends."""
    from sqlalchemy import create_engine

    url = postgres.new_database()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    metadata.create_all(engine)
    engine.dispose()
    fleet = CeleryFleet(tmp_path_factory.mktemp("celery"), url, broker.url())
    for kind in ("worker", "beat"):
        for number in (1, 2):
            fleet.start(kind, number)
    with contextlib.closing(fleet):
        # the first runs come late while four processes start on a busy machine
        wait_until(lambda: len(fleet.times("own")) > 1, seconds=60, what=f"a first run\n{fleet.log()}")
        yield fleet


def _runs_once_a_second(fleet: CeleryFleet, word: str, *, runs: int = 3) -> None:
    before = len(fleet.times(word))
    wait_until(lambda: len(fleet.times(word)) > before + runs, seconds=60, what=f"{word} to run\n{fleet.log()}")
    times = fleet.times(word)[before:]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # two beats without claims would halve them; a tick refused for coming a moment early would double each of them,
    # while a busy machine makes only some of them longer, and the next one shorter: the grid stays
    assert len(times) <= times[-1] - times[0] + 2, gaps
    assert min(gaps) < 1.75, gaps


def test_jobs_run_once_each_interval_with_two_beats(fleet: CeleryFleet, postgres: PostgresServer) -> None:
    """The built-in jobs and the application's own run once each interval, in a context."""
    _runs_once_a_second(fleet, "own")
    _runs_once_a_second(fleet, "look", runs=2)


def test_failing_task_is_logged_once(fleet: CeleryFleet) -> None:
    """A task that raises leaves one error with its traceback, and Celery counts it as failed."""
    fleet.delay("fails")
    wait_until(lambda: "Worker fails failed" in fleet.log(), what=f"a failure\n{fleet.log()}")
    log = fleet.log()
    assert log.count("ERROR") == 1
    assert log.count("Worker fails failed: ValueError: as it should") == 1
    assert log.count("Traceback") == 1


@pytest.mark.full
def test_task_whose_process_is_killed_runs_again(fleet: CeleryFleet) -> None:
    """SIGKILL in the middle of a task: another process runs it from its beginning."""
    fleet.delay("slow", 1)
    wait_until(lambda: len(fleet.times("slow-began")) == 1, what="the task to begin")
    os.kill(fleet.pids("slow-began")[0], signal.SIGKILL)
    wait_until(lambda: len(fleet.times("slow-ended")) == 1, what=f"the task to end\n{fleet.log()}")
    assert len(fleet.times("slow-began")) == 2


@pytest.mark.full
def test_other_beat_goes_on_when_one_is_killed(fleet: CeleryFleet) -> None:
    """With one beat dead the jobs run on, still once each interval."""
    fleet.processes["beat1"].kill()
    fleet.processes["beat1"].wait()
    _runs_once_a_second(fleet, "own")


@pytest.mark.full
def test_all_resume_after_an_outage_of_redis(fleet: CeleryFleet, broker: RedisServer) -> None:
    """Redis killed and back: workers and beat go on by themselves."""
    broker.kill()
    time.sleep(1)  # the outage itself
    broker.start()
    _runs_once_a_second(fleet, "own", runs=3)
    assert [name for name, each in fleet.processes.items() if each.poll() is not None] == ["beat1"]


@pytest.mark.full
def test_sigterm_ends_within_the_grace_time(fleet: CeleryFleet) -> None:
    """A worker in a long task and a beat end soon after the grace time of a second, and the task is not lost."""
    begun = len(fleet.times("slow-began"))
    fleet.delay("slow", 30)
    wait_until(lambda: len(fleet.times("slow-began")) > begun, what="the task to begin")
    begin = time.monotonic()
    ended = [fleet.running(fleet.pids("slow-began")[-1]), fleet.processes["beat2"]]
    for each in ended:
        each.terminate()
    for each in ended:
        each.wait(20)
    assert time.monotonic() - begin < 12  # a busy machine takes its time; the task would take 30 s
    fleet.start("worker", 3)
    wait_until(
        lambda: len(fleet.times("slow-began")) > begun + 1, seconds=60, what=f"the task to run again\n{fleet.log()}"
    )
    assert "Worker slow failed" not in fleet.log()


@pytest.mark.full
@pytest.mark.timeout(200)
def test_worker_that_is_killed_with_its_task_is_replaced(fleet: CeleryFleet) -> None:
    """A whole worker dies by SIGKILL in a task: the other worker runs it again."""
    begun, ended = len(fleet.times("slow-began")), len(fleet.times("slow-ended"))
    fleet.delay("slow", 1.5)
    wait_until(lambda: len(fleet.times("slow-began")) > begun, what="the task to begin")
    victim = fleet.running(fleet.pids("slow-began")[-1])
    signal_tree(victim.pid, signal.SIGKILL)
    victim.wait()
    # kombu looks for messages of dead workers each 100 s
    wait_until(lambda: len(fleet.times("slow-ended")) > ended, seconds=150, what=f"the task to end\n{fleet.log()}")


def test_no_process_complains_of_its_context(fleet: CeleryFleet) -> None:
    """In all that the fleet printed there is no word of a missing context."""
    assert "outside of" not in fleet.log()
