"""Where workers run, under each server and in each command: seen in real runs."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.running import SCRIPTS, flask_run, gunicorn, run, serving
from tests.servers import wait_until

WSGI = """
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)
FOLDER = Path(os.environ["STARTS"])


@services.worker(every=0.2, name="tick", once=False, first=0.0)
def tick():
    threads = [thread.name for thread in threading.enumerate()]
    new = FOLDER / f"{os.getpid()}.new"
    new.write_text("\\n".join(threads))
    new.rename(FOLDER / str(os.getpid()))


@app.cli.command("db")
def db():
    time.sleep(0.5)


@app.cli.command("import-prices")
def import_prices():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # a command's own affair
    time.sleep(0.5)


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
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which each process that runs workers leaves its number; wsgi.py stands beside it."""
    monkeypatch.setenv("WS_URL", "ws://127.0.0.1:1/")
    (tmp_path / "wsgi.py").write_text(WSGI)
    folder = tmp_path / "starts"
    folder.mkdir()
    return folder


def _started(starts: Path) -> set[int]:
    return {int(path.name) for path in starts.iterdir() if path.name.isdigit()}


KINDS = {"APScheduler", "log-summaries", "websocket"}


def _ticks(starts: Path, number: int) -> set[int]:
    """Wait until `number` processes run workers, and a little longer for one that should not.

    Each of them has one background thread of each kind.
    """
    wait_until(lambda: len(_started(starts)) >= number, what=f"{number} processes with workers, not {_started(starts)}")
    time.sleep(0.6)
    for pid in _started(starts):
        threads = Counter((starts / str(pid)).read_text().splitlines())
        assert {kind: threads[kind] for kind in KINDS} == dict.fromkeys(KINDS, 1)
    return _started(starts)


GTHREAD = ("-k", "gthread", "--threads", "2")
UWSGI = [str(SCRIPTS / "uwsgi"), "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "4", "--need-app",
         "--die-on-term", "--enable-threads", "--virtualenv", sys.prefix, "--module", "wsgi:app"]  # fmt: skip
UWSGIS = {"uwsgi": UWSGI, "uwsgi --lazy-apps": [*UWSGI, "--lazy-apps"]} if Path(UWSGI[0]).exists() else {}
"""There where it was built: it has no wheels, and is no dependency of the tests."""
FLEETS = {
    "sync": gunicorn("wsgi:app"),
    "gthread": gunicorn("wsgi:app", *GTHREAD),
    "sync --preload": gunicorn("wsgi:app", "--preload"),
    "gthread --preload": gunicorn("wsgi:app", "--preload", *GTHREAD),
    **UWSGIS,
}


@pytest.mark.parametrize("command", FLEETS.values(), ids=FLEETS)
def test_each_worker_of_a_fleet_runs_jobs_and_the_master_none(command: Sequence[str], starts: Path) -> None:
    """Four workers, four processes with jobs, without a single request."""
    with serving(command, starts.parent, STARTS=starts) as running:
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


FORKS = """
import multiprocessing, time, wsgi
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1.0,))
child.start()
child.join()
"""
COMMANDS = {
    "flask routes": [str(SCRIPTS / "flask"), "--app", "wsgi", "routes"],
    "flask shell": [str(SCRIPTS / "flask"), "--app", "wsgi", "shell"],
    "flask bootstrap migrate --check": [str(SCRIPTS / "flask"), "--app", "wsgi", "bootstrap", "migrate", "--check"],
    "flask bootstrap status": [str(SCRIPTS / "flask"), "--app", "wsgi", "bootstrap", "status"],
    "flask db": [str(SCRIPTS / "flask"), "--app", "wsgi", "db"],
    "flask import-prices": [str(SCRIPTS / "flask"), "--app", "wsgi", "import-prices"],
    "python -c": [sys.executable, "-c", "import wsgi, time; time.sleep(1)"],
    "multiprocessing": [sys.executable, "-c", FORKS],
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
