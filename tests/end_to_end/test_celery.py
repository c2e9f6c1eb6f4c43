"""The same jobs and tasks on Celery: a service, a worker and a beat that share nothing but their environment."""

import os
import re
import signal
from pathlib import Path
from urllib.parse import urlsplit

from tests.running import SCRIPTS, Running, gunicorn, serving
from tests.servers import PostgresServer, RedisServer, wait_until

WSGI = """
import os
from pathlib import Path

from flask import Flask, current_app

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)
celery = services.celery
FOLDER = Path(os.environ["FOUND"])


@services.worker(every=1.0, name="tick")
def tick():
    with (FOLDER / "ticks").open("a") as file:
        file.write(f"{current_app.name} {os.getpid()}\\n")


@services.task
def mail(to):
    (FOLDER / "mail").write_text(f"{to} by {os.getpid()} of {current_app.name}")


@services.task
def fails():
    raise ValueError("as it should")


@app.post("/mail")
def send():
    for _ in range(12):
        fails.delay()
    return str(bool(mail.delay("a@example.com")))
"""


def test_jobs_and_tasks_run_on_celery(tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer) -> None:
    """A request publishes, a worker runs it with a context, and the job, which the service leaves alone.

    The health job runs there too, and takes none of Celery's processes for one that serves. When the worker ends, what
    its log held back is summed up: no error is neither shown nor counted.
    """
    (tmp_path / "wsgi.py").write_text(WSGI)
    variables = {
        "DATABASE_URL": postgres.new_database(), "REDIS_URL": redis_server.url(), "WORKERS_ENGINE": "celery",
        "FOUND": tmp_path, "WORKERS_GRACE": "2", "LOG_LEVEL": "INFO", "LOG_SUMMARY_INTERVAL": "600",
        "WORKERS_HEALTH_INTERVAL": "1",
    }  # fmt: skip
    celery = [str(SCRIPTS / "celery"), "-A", "wsgi:celery"]
    beat = Running([*celery, "beat"], folder=tmp_path, variables=variables)
    worker = Running([*celery, "worker", "--concurrency", "1", "--without-gossip", "--without-mingle"],
                     folder=tmp_path, variables=variables)  # fmt: skip
    try:
        with serving(gunicorn("wsgi:app", workers=2), tmp_path, **variables) as service:
            worker.start(wait=False)
            beat.start(wait=False)
            assert service.ask("/mail", method="POST").text == "True"
            wait_until(lambda: (tmp_path / "mail").exists(), seconds=60, what=f"the mail; {worker.output()}")
            wait_until(lambda: _lines(tmp_path) > 1, seconds=60, what=f"the job; {worker.output()} {beat.output()}")
            database = urlsplit(str(variables["DATABASE_URL"])).path[1:]
            looked = "SELECT count(*) FROM worker_runs WHERE job = 'health'"
            wait_until(lambda: postgres.query(looked, database=database) == [(1,)], what=f"health; {worker.output()}")
            shown = {row[0] for row in postgres.query("SELECT pid FROM process_snapshots", database=database)}
            assert shown <= set(service.children())
            served_by = {str(pid) for pid in [service.pid, *service.children()]}
        words = (tmp_path / "mail").read_text().split()
        assert words[0] == "a@example.com"
        assert words[2] not in served_by
        os.kill(worker.pid, signal.SIGTERM)
        worker.wait(20)
        held_back = re.search(r"held back (\d+) times", worker.output())
        assert held_back is not None, worker.output()
        assert int(held_back[1]) + worker.output().count("Worker fails failed: ValueError: as it should  worker") == 12
        assert not served_by & {line.split()[1] for line in (tmp_path / "ticks").read_text().splitlines()}
    finally:
        for process in (beat, worker):
            if process.process is not None and process.process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
                process.wait(20)
        beat.close()
        worker.close()


def _lines(folder: Path) -> int:
    ticks = folder / "ticks"
    return len(ticks.read_text().splitlines()) if ticks.exists() else 0
