"""SIGTERM while a process still boots."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from settings.boot.serving import booting_gunicorn_worker


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a gunicorn worker within the with block at once, as it ends any other process that boots.

    gunicorn's handler only notes that the worker is to end, and nobody looks at the note before the boot is over: a
    boot that waits for a database or for another's migration would outlast the master's patience. No handler of
    Python's runs inside of libpq or SQLite, so the system's own is put there. A boot that is cut off leaves nothing
    half done: migrations are atomic, and connections end with their process.
    """
    worker = booting_gunicorn_worker()
    if worker is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        if not getattr(worker, "alive", True):  # it was told before the boot began
            signal.raise_signal(signal.SIGTERM)
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
        # As gunicorn has it, so that no request under way is disturbed.
        signal.siginterrupt(signal.SIGTERM, False)  # noqa: FBT003 - the call knows no keywords
