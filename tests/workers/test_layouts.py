"""In every layout of a server the jobs run in serving processes, once each interval in the whole fleet."""

import time
from pathlib import Path

import pytest

from tests.running import flask_run, gunicorn, serving
from tests.servers import wait_until

APPLICATION = """
import os, pathlib, time
import flask
from bootstrap import bootstrap

app = flask.Flask("layout")
services = bootstrap(app)

@services.worker(every=2, jitter=0)
def tick():
    assert flask.current_app.name == "layout"
    with open("ticks", "a") as lines:
        lines.write(f"{os.getpid()} {time.time()}\\n")
"""
LAYOUTS = {
    "one process": flask_run("layout:app"),
    "four workers": gunicorn("layout:app", workers=4),
    "four preloaded workers": gunicorn("layout:app", "--preload", workers=4),
    "two workers with threads": gunicorn("layout:app", "--threads", "4", workers=2),
}


def _ticks(folder: Path) -> list[tuple[int, float]]:
    file = folder / "ticks"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(pid), float(at)) for pid, at in map(str.split, lines)]


@pytest.mark.full
@pytest.mark.parametrize("layout", LAYOUTS)
def test_job_runs_once_each_interval_in_the_whole_fleet(layout: str, tmp_path: Path) -> None:
    """A job of each two seconds runs 9 to 11 times in 20 s, never in a master, with no word of a missing context."""
    (tmp_path / "layout.py").write_text(APPLICATION)
    variables = {"DATABASE_URL": f"sqlite:///{tmp_path}/app.db", "PYTHONPATH": f"{Path.cwd()}:{tmp_path}"}
    with serving(LAYOUTS[layout], tmp_path, **variables) as running:
        wait_until(lambda: _ticks(tmp_path) != [], what=f"a first run\n{running.output()}")
        begin = time.time()
        wait_until(lambda: time.time() > begin + 20, what="20 s")
        ticks = [(pid, at) for pid, at in _ticks(tmp_path) if begin <= at <= begin + 20]
        assert 9 <= len(ticks) <= 11, ticks
        if "workers" in layout:
            assert running.pid not in {pid for pid, _ in _ticks(tmp_path)}
        assert "outside of" not in running.output()


def test_job_runs_in_the_workers_of_a_preloaded_server(tmp_path: Path) -> None:
    """Under `gunicorn --preload` the master runs nothing, and its workers run each tick once."""
    (tmp_path / "layout.py").write_text(APPLICATION.replace("every=2", "every=0.5"))
    variables = {"DATABASE_URL": f"sqlite:///{tmp_path}/app.db", "PYTHONPATH": f"{Path.cwd()}:{tmp_path}"}
    with serving(gunicorn("layout:app", "--preload", workers=2), tmp_path, **variables) as running:
        wait_until(lambda: len(_ticks(tmp_path)) >= 4, what=f"four runs\n{running.output()}")
        assert running.pid not in {pid for pid, _ in _ticks(tmp_path)}
