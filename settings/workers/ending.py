"""How Celery's processes end in time: a worker whose tasks go on, a beat that did not hear its signal."""

import logging
import os
import signal
import threading
from functools import partial
from types import FrameType
from typing import Any

from celery import signals

log = logging.getLogger(__name__)

AGAIN_SECONDS = 0.5


def end_in_time(grace_seconds: float) -> None:
    """Let Celery's processes end after SIGTERM, workers within the grace time; idempotent."""
    signals.worker_shutting_down.connect(
        partial(_end_worker, grace_seconds), weak=False, dispatch_uid="twelvefactor-grace"
    )
    signals.beat_init.connect(_end_beat, weak=False, dispatch_uid="twelvefactor-beat")


def _end_worker(grace_seconds: float, **_values: object) -> None:
    """Turn Celery's warm shutdown into a cold one after the grace time: what runs then goes back to the queue."""

    def end() -> None:
        log.warning("Celery worker: tasks still run after %g s and go back to the queue", grace_seconds)
        os.kill(os.getpid(), signal.SIGQUIT)

    timer = threading.Timer(grace_seconds, end)
    timer.daemon = True
    timer.start()


def _end_beat(sender: Any, **_values: object) -> None:  # noqa: ANN401 - Celery ships no types
    """Repeat SIGTERM until beat ends.

    Celery 5.7 raises SystemExit from its handler, which is lost when the signal comes while beat publishes: the
    handler closes the connection, and what that raises is taken for a fault of the broker.
    """
    celerys = signal.getsignal(signal.SIGTERM)
    told = threading.Event()

    def repeat() -> None:
        while not sender._is_shutdown.wait(AGAIN_SECONDS):
            os.kill(os.getpid(), signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        if not told.is_set():
            told.set()
            threading.Thread(target=repeat, name="beat-end", daemon=True).start()
        if callable(celerys):
            celerys(number, frame)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
