"""How a process ends: in each phase, under each server, whatever its jobs do; seen in real runs."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.running import Running, flask_run, gunicorn, run, serving
from tests.servers import PostgresServer, wait_until

IN_TIME = 1.0 + 1.0 + 3.0
"""WORKERS_GRACE, a second, and three of slack for a machine that tests fill."""
LATE_THREADS = not (3, 12) <= sys.version_info < (3, 12, 3)
"""Whether Python starts threads when the main one is through: 3.12 did not at first (python/cpython, issue 113964)."""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"

WSGI = """
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)


def storm():
    for _ in range(20):
        logging.getLogger("storm").error("the storm goes on")


@services.worker(every=3600, name="stuck", once=False, first=0.0 if "STUCK" in os.environ else 3600)
def stuck():
    storm()
    with ThreadPoolExecutor() as pool:  # Python itself waits for the threads of an executor, for ever
        pool.submit(time.sleep, 3600)
        Path(f"stuck-{os.getpid()}").touch()
        time.sleep(3600)


@app.get("/storm")
def errors():
    storm()
    return "ok"
"""
JSON = {"LOG_FORMAT": "json", "LOG_SUMMARY_INTERVAL": "3600", "WORKERS_GRACE": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an application."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    return tmp_path


def _summaries(output: str) -> int:
    return output.count('"event": "summary"')


BUSY = {
    "flask run": (flask_run("wsgi"), signal.SIGTERM, 1),
    "flask run, SIGINT": (flask_run("wsgi"), signal.SIGINT, 1),
    "gunicorn": (gunicorn("wsgi:app", workers=2), signal.SIGTERM, 2),
    "gunicorn --preload": (gunicorn("wsgi:app", "--preload", workers=2), signal.SIGTERM, 2),
}


@pytest.mark.parametrize(("command", "number", "processes"), BUSY.values(), ids=BUSY)
def test_a_job_that_never_ends_delays_the_exit_by_the_grace_time(
    command: list[str], number: signal.Signals, processes: int, folder: Path
) -> None:
    """Not even one that leaves an executor's threads behind; and what its process held back is summed up."""
    with serving(command, folder, STUCK="1", **JSON) as running:
        # A worker that gunicorn forks just now would miss the signal, whatever it runs.
        wait_until(lambda: len(list(folder.glob("stuck-*"))) == processes, what="the stuck jobs")
        children = running.children()
        assert running.stop(number) < IN_TIME
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
        assert _summaries(running.output()) == processes


def test_jobs_go_on_while_a_thread_of_the_application_does(tmp_path: Path) -> None:
    """Python waits for a thread that is no daemon after the main one is through, and so do the jobs.

    Where Python lets no job begin then, each one says so, and the process ends as it should.
    """
    program = """
import threading, time
from flask import Flask
from bootstrap import bootstrap

services = bootstrap(Flask("app"), start=True)
ticks = []
services.worker(lambda: ticks.append(1), every=0.1, name="tick", once=False, first=0.0)


def work():
    threading.main_thread().join()
    before = len(ticks)
    time.sleep(0.8)
    print("ticks after the main thread:", len(ticks) > before + 2)


threading.Thread(target=work).start()
"""
    done = run([sys.executable, "-c", program], tmp_path, LOG_LEVEL="ERROR")
    output = done.stdout + done.stderr
    assert (done.returncode, f"ticks after the main thread: {LATE_THREADS}" in output) == (0, True), output
    assert ("Worker tick cannot begin" in output) is not LATE_THREADS, output


def test_sigterm_keeps_its_exit_status_and_the_counts_beside_a_frozen_database(
    folder: Path, own_postgres: PostgresServer
) -> None:
    """A supervisor sees that the process ended by the signal, not by an error, and no summary is lost to the wait."""
    url, rows = own_postgres.new_database(), "SELECT count(*) FROM process_snapshots"
    name = url.rpartition("/")[2]
    with serving(flask_run("wsgi"), folder, STUCK="1", DATABASE_URL=url, **JSON) as running:
        wait_until(lambda: list(folder.glob("stuck-*")) != [], what="the stuck job")
        wait_until(lambda: own_postgres.query(rows, database=name) == [(1,)], what="what is to be taken back")
        with own_postgres.frozen():
            wait_until(lambda: running.ask("/readyz").status == 503, what="a look at the database")
            os.kill(running.pid, signal.SIGTERM)
            assert running.wait() == -signal.SIGTERM
        assert _summaries(running.output()) == 1


def test_an_ended_process_leaves_no_session_in_the_database(folder: Path, postgres: PostgresServer) -> None:
    """Two seconds after SIGTERM no connection is left."""
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    with serving(gunicorn("wsgi:app", workers=2), folder, DATABASE_URL=url) as running:
        wait_until(lambda: postgres.query(SESSIONS, name) != [(0,)], what="a session")
        running.stop()
        wait_until(lambda: postgres.query(SESSIONS, name) == [(0,)], seconds=2, what="the end of the sessions")


TWO = """
import time
from pathlib import Path
from flask import Flask
from bootstrap import bootstrap


def service(name):
    services = bootstrap(Flask(name), start=True)

    @services.worker(every=3600, once=False, first=0.0)
    def waits():
        Path(f"{name} began").touch()
        while not services.workers.stopping:
            time.sleep(0.02)
        Path(f"{name} ended").touch()

    return services


kept = [service("one"), service("two")]
while True:
    time.sleep(0.05)
"""


def test_sigterm_ends_every_application_of_a_process(tmp_path: Path) -> None:
    """Two that are served by one process both let their jobs end before it is gone."""
    program = Running([sys.executable, "-c", TWO], folder=tmp_path, variables=JSON)
    try:
        program.start(wait=False)
        wait_until(lambda: len(list(tmp_path.glob("* began"))) == 2, what=f"both jobs; {program.output()}")
        assert program.stop() < IN_TIME
        assert program.wait() == -signal.SIGTERM
        assert sorted(path.name for path in tmp_path.glob("* ended")) == ["one ended", "two ended"]
    finally:
        program.close()


PROGRAM = """
import os, sys, time, logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from flask import Flask
from sqlalchemy import Column, Integer, MetaData, Table, event
from bootstrap import bootstrap

phase, folder = sys.argv[1], Path(sys.argv[2])
metadata = MetaData()
table = Table("slow", metadata, Column("id", Integer, primary_key=True))


@event.listens_for(table, "before_create")
def slowly(*_args, **_options):
    if phase == "migrating":
        (folder / "ready").touch()
        time.sleep(3600)


services = bootstrap(Flask(__name__), metadata=metadata, start=True)
(folder / "ready").touch()
while True:
    if phase == "storm":
        logging.getLogger("storm").error("the storm goes on")
    else:
        time.sleep(0.05)
"""


@pytest.mark.parametrize("phase", ["migrating", "idle", "storm"])
def test_sigterm_ends_a_process_in_each_phase(phase: str, tmp_path: Path, postgres: PostgresServer) -> None:
    """Gone within the grace time plus a second (and three of slack), with no session left and nothing half-applied."""
    (tmp_path / "program.py").write_text(PROGRAM)
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    program = Running(
        [sys.executable, "program.py", phase, str(tmp_path)],
        folder=tmp_path,
        variables={"DATABASE_URL": url, "WORKERS_GRACE": "1", "LOG_LEVEL": "INFO"},
    )
    try:
        program.start(wait=False)
        wait_until(lambda: (tmp_path / "ready").exists(), what=f"the phase; {program.output()}")
        assert program.stop() < IN_TIME
        wait_until(lambda: postgres.query(SESSIONS, name) == [(0,)], seconds=2, what="the end of the sessions")
        tables = postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=name)
        assert tables == [(0,)] if phase == "migrating" else tables > [(3,)]
    finally:
        program.close()


def test_sigterm_in_a_storm_loses_no_count(tmp_path: Path) -> None:
    """What was held back stands in a summary before the process is gone."""
    (tmp_path / "program.py").write_text(PROGRAM)
    program = Running(
        [sys.executable, "program.py", "storm", str(tmp_path)],
        folder=tmp_path,
        variables={"LOG_FORMAT": "json", "LOG_LEVEL": "INFO", "LOG_SUMMARY_INTERVAL": "3600"},
    )
    try:
        program.start(wait=False)
        wait_until(lambda: "the storm goes on" in program.output(), what=f"the storm; {program.output()}")
        time.sleep(0.3)
        program.stop()
        held_back = [line for line in program.output().splitlines() if '"suppressed"' in line]
        assert held_back
    finally:
        program.close()


ENDING = """
import time
from flask import Flask
from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)


@app.get("/slow")
def slow():
    before = app.test_client().get("/readyz").status_code
    time.sleep(1.5)
    return f"{before} {app.test_client().get('/readyz').status_code}"
"""


def test_a_process_that_drains_is_not_ready(tmp_path: Path) -> None:
    """What gunicorn still answers after SIGTERM sees /readyz say 503, so that no new work is sent there."""
    (tmp_path / "ending.py").write_text(ENDING)
    command = gunicorn("ending:app", "-k", "gthread", "--threads", "4", workers=1)
    with serving(command, tmp_path) as running, ThreadPoolExecutor() as pool:
        wait_until(lambda: running.ask("/readyz").status == 200, what="readiness")
        slow = pool.submit(running.ask, "/slow")
        time.sleep(0.7)
        os.kill(running.pid, signal.SIGTERM)
        assert slow.result(20).text == "200 503"
