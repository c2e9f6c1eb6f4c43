"""Where workers run, under each server and in each command, and how a process ends: seen in real runs."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.running import SCRIPTS, Running, flask_run, gunicorn, run, serving
from tests.servers import PostgresServer, wait_until

WSGI = """
import multiprocessing
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)
FOLDER = Path(os.environ["STARTS"])


@services.worker(every=0.2, name="tick", once=False, first=0.0)
def tick():
    (FOLDER / str(os.getpid())).touch()


@services.worker(every=3600, name="long", once=False, first=0.0 if "LONG_JOB" in os.environ else 3600)
def long():
    (FOLDER / "long").touch()
    time.sleep(3600)


@app.get("/fork")
def fork():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1.0,))
    child.start()
    child.join()
    return str(child.pid)


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
"""


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """The folder in which each process that runs workers leaves its number; wsgi.py stands beside it."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    folder = tmp_path / "starts"
    folder.mkdir()
    return folder


def _started(starts: Path) -> set[int]:
    return {int(path.name) for path in starts.iterdir() if path.name.isdigit()}


def _ticks(starts: Path, number: int) -> set[int]:
    """Wait until `number` processes run workers, and a little longer for one that should not."""
    wait_until(lambda: len(_started(starts)) >= number, what=f"{number} processes with workers, not {_started(starts)}")
    time.sleep(0.6)
    return _started(starts)


GUNICORNS = {
    "sync": (),
    "gthread": ("-k", "gthread", "--threads", "2"),
    "sync --preload": ("--preload",),
    "gthread --preload": ("-k", "gthread", "--threads", "2", "--preload"),
}


@pytest.mark.parametrize("options", GUNICORNS.values(), ids=GUNICORNS)
def test_each_gunicorn_worker_runs_jobs_and_the_master_none(options: Sequence[str], starts: Path) -> None:
    """Four workers, four processes with jobs, without a single request."""
    with serving(gunicorn("wsgi:app", *options), starts.parent, STARTS=starts) as running:
        assert _ticks(starts, 4) == set(running.children())


def test_two_gunicorns_share_a_database(starts: Path, postgres_url: str) -> None:
    """Each of their workers runs jobs of its own."""
    shared = {"STARTS": starts, "DATABASE_URL": postgres_url}
    with (
        serving(gunicorn("wsgi:app", workers=2), starts.parent, **shared) as one,
        serving(gunicorn("wsgi:app", workers=2), starts.parent, **shared) as other,
    ):
        assert _ticks(starts, 4) == {*one.children(), *other.children()}


SINGLE = {
    "flask run": flask_run("wsgi"),
    "waitress": [str(SCRIPTS / "waitress-serve"), "--listen", "127.0.0.1:{port}", "wsgi:app"],
    "app.run()": [sys.executable, "wsgi.py", "{port}"],
}


@pytest.mark.parametrize("command", SINGLE.values(), ids=SINGLE)
def test_a_server_of_one_process_runs_jobs_in_it(command: list[str], starts: Path) -> None:
    """The process that serves is the one with jobs."""
    with serving(command, starts.parent, STARTS=starts) as running:
        assert _ticks(starts, 1) == {running.pid}


def test_the_reloader_runs_jobs_in_the_child_only(starts: Path) -> None:
    """The parent that watches the files runs none."""
    with serving(flask_run("wsgi", "--debug"), starts.parent, STARTS=starts) as running:
        assert _ticks(starts, 1) == set(running.children())


def test_a_child_that_a_request_forks_runs_no_jobs(starts: Path) -> None:
    """Multiprocessing's children are no servers."""
    with serving(gunicorn("wsgi:app", workers=1), starts.parent, STARTS=starts) as running:
        [worker] = _ticks(starts, 1)
        assert int(running.ask("/fork").text) != worker
        assert _started(starts) == {worker}


COMMANDS = {
    "flask routes": [str(SCRIPTS / "flask"), "--app", "wsgi", "routes"],
    "flask shell": [str(SCRIPTS / "flask"), "--app", "wsgi", "shell"],
    "flask bootstrap migrate --check": [str(SCRIPTS / "flask"), "--app", "wsgi", "bootstrap", "migrate", "--check"],
    "flask bootstrap status": [str(SCRIPTS / "flask"), "--app", "wsgi", "bootstrap", "status"],
    "python -c": [sys.executable, "-c", "import wsgi, time; time.sleep(1)"],
    "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
}
IT = """
import time
def test_it():
    import wsgi
    assert wsgi.app.test_client().get("/livez").status_code == 200
    time.sleep(1)
"""


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_runs_no_jobs(command: list[str], starts: Path) -> None:
    """What does not serve does not work in the background either."""
    (starts.parent / "test_it.py").write_text(IT)
    done = run(command, starts.parent, STARTS=starts, WORKERS_ENABLED="true")
    assert _started(starts) == set(), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(params=["flask run", "gunicorn", "gunicorn --preload"])
def busy(request: pytest.FixtureRequest, starts: Path) -> Iterator[Running]:
    """A server whose jobs include one that sleeps for an hour, already running."""
    commands = {"flask run": flask_run("wsgi"), "gunicorn": gunicorn("wsgi:app", workers=2)}
    command = commands.get(request.param, gunicorn("wsgi:app", "--preload", workers=2))
    with serving(command, starts.parent, STARTS=starts, LONG_JOB="1", WORKERS_GRACE="1") as running:
        wait_until(lambda: (starts / "long").exists(), what="the long job")
        # A worker that gunicorn forks just now would miss the signal, whatever it runs.
        number = 1 if request.param == "flask run" else 2
        wait_until(lambda: len(_started(starts)) == number, what="all workers")
        yield running


def test_a_job_that_never_ends_delays_the_exit_by_the_grace_time(busy: Running) -> None:
    """SIGTERM: gone within the grace time plus a second, and three of slack for a machine that tests fill."""
    children = busy.children()
    assert busy.stop() < 1.0 + 1.0 + 3.0
    for child in children:
        assert not Path(f"/proc/{child}").exists()


def test_sigterm_keeps_its_exit_status(starts: Path) -> None:
    """A supervisor sees that the process ended by the signal, not by an error."""
    with serving(flask_run("wsgi"), starts.parent, STARTS=starts) as running:
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait() == -signal.SIGTERM


def test_an_ended_process_leaves_no_session_in_the_database(starts: Path, postgres: PostgresServer) -> None:
    """Two seconds after SIGTERM no connection is left."""
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    with serving(gunicorn("wsgi:app"), starts.parent, STARTS=starts, DATABASE_URL=url) as running:
        wait_until(lambda: postgres.query(count, name) != [(0,)], what="a session")
        running.stop()
        wait_until(lambda: postgres.query(count, name) == [(0,)], seconds=2, what="the end of the sessions")


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


if phase == "booting":
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


@pytest.mark.parametrize("phase", ["booting", "migrating", "idle", "storm"])
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
        assert program.stop() < 1.0 + 1.0 + 3.0
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        wait_until(lambda: postgres.query(count, name) == [(0,)], seconds=2, what="the end of the sessions")
        tables = postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=name)
        assert tables == [(0,)] if phase in ("booting", "migrating") else tables > [(3,)]
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
