"""Real threads: a boot refuses a process whose threads gevent or eventlet has replaced."""

import sys

from settings.problems import BootstrapError, Diagnosis

REPLACED = Diagnosis(
    "threads-replaced",
    "this process's threads have been replaced by cooperative ones, which psycopg2 blocks and no deadline here can end",
    "use workers with real threads: gunicorn -k gthread --threads 8",
)
CODES = frozenset({REPLACED.code})
WORKER_CLASSES = {"gunicorn.workers.ggevent": "gevent", "gunicorn.workers.geventlet": "eventlet"}
"""Modules that gunicorn imports for these classes only; with --preload it replaces the threads after the boot."""


def require_real_threads() -> None:
    """Go on where threads are real.

    Raises:
        BootstrapError: gevent or eventlet has patched them, or gunicorn is going to let it do so.
    """
    for module, name in WORKER_CLASSES.items():
        if module in sys.modules:
            raise BootstrapError("the server's worker class", name, REPLACED)
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        raise BootstrapError("the server's worker class", "gevent", REPLACED)
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        raise BootstrapError("the server's worker class", "eventlet", REPLACED)
