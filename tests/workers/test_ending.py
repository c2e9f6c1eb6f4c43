"""A beat ends after SIGTERM, also when the signal comes at a moment in which Celery loses it."""

import subprocess
import sys
from pathlib import Path

from tests.running import environment
from tests.servers import wait_until

DEAF = """
import os, signal, time
import flask
from celery import signals
from settings.workers.celery import build_celery
from settings.workers.context import ApplicationContextManager
from settings.workers.model import WorkersSettings
from settings.workers.scheduler import Workers

settings = WorkersSettings(engine="celery", broker_url="memory://")
workers = Workers(settings, context=ApplicationContextManager(flask.Flask("tests")), claims=None)
celery, _ = build_celery(workers, settings, app_name="tests")
workers.worker(lambda: None, every=0.2, name="tick")
heard = []

@signals.before_task_publish.connect
def lose_the_first_signal(**_values):
    if not heard:
        heard.append(1)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except SystemExit:
            print("lost", flush=True)
"""


def test_beat_ends_although_its_first_signal_was_lost(tmp_path: Path) -> None:
    """The signal is repeated until beat has ended, in order and with status 0."""
    (tmp_path / "deaf.py").write_text(DEAF)
    variables = environment()
    variables["PYTHONPATH"] += f":{tmp_path}"
    log = tmp_path / "log"
    with log.open("wb") as file:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "deaf:celery", "beat"], cwd=tmp_path, env=variables, stdout=file,
            stderr=file,
        )  # fmt: skip
    try:
        wait_until(lambda: "lost" in log.read_text(), seconds=30, what=f"a signal\n{log.read_text()}")
        assert beat.wait(10) == 0, log.read_text()
    finally:
        beat.kill()
        beat.wait()
