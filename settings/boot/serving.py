"""Whether this process serves requests: seen on the stacks of its threads, not guessed from names.

A server's name in `argv` or `sys.modules` says the same in gunicorn's master, in its workers, and in a
command that only imports the application. A serving loop on a stack says it where it is true.
"""

import sys
from collections.abc import Iterator
from types import FrameType

LOOPS = frozenset({("werkzeug.serving", "serve_forever"), ("waitress.server", "run")})
FORKED_HELPERS = ("multiprocessing.", "billiard.")


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while isinstance(frame, FrameType):  # the stack of a thread that runs may be anything for a moment
        yield frame
        frame = frame.f_back


def _name_of(frame: FrameType) -> tuple[str, str]:
    return str(frame.f_globals.get("__name__", "")), frame.f_code.co_name


def _is_serving_loop(module: str, function: str) -> bool:
    return (module, function) in LOOPS or (module.startswith("gunicorn.workers.") and function == "run")


def _stack_serves(frame: FrameType) -> bool:
    """Look from the newest call outwards; a child that multiprocessing forked inherits a stack below its own."""
    for module, function in map(_name_of, _frames(frame)):
        if module.startswith(FORKED_HELPERS):
            return False
        if _is_serving_loop(module, function):
            return True
    return False


def gunicorn_worker() -> object | None:
    """Return gunicorn's worker object of this process; None under any other server.

    It knows first that the process is to end: gunicorn keeps SIGTERM for itself and answers what it has accepted.
    """
    for newest in sys._current_frames().values():
        for frame in _frames(newest):
            module, function = _name_of(frame)
            if module.startswith("gunicorn.workers.") and function == "run":
                return frame.f_locals.get("self")
    return None


def booting_gunicorn_worker() -> object | None:
    """Return gunicorn's worker object where this is called while the worker loads the application.

    None anywhere else: in its master, and below its serving loop, which runs within the same function.
    """
    for frame in _frames(sys._getframe(1)):
        module, function = _name_of(frame)
        if _is_serving_loop(module, function):
            return None
        if (module, function) == ("gunicorn.workers.base", "init_process"):
            return frame.f_locals.get("self")
    return None


def serves_requests() -> bool:
    """Say whether a known server's loop runs in this process now (werkzeug, gunicorn, waitress, uWSGI)."""
    if (uwsgi := sys.modules.get("uwsgi")) is not None:
        return bool(uwsgi.worker_id() > 0)
    return any(_stack_serves(frame) for frame in sys._current_frames().values())


def is_called_from(module: str, function: str) -> bool:
    """Say whether `module.function` is among the callers of this function's caller."""
    return (module, function) in map(_name_of, _frames(sys._getframe(1)))
