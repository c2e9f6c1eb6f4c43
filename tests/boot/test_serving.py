"""Serving is seen on the stacks of this process's threads."""

import threading
from collections.abc import Callable
from types import ModuleType

from settings.boot.serving import booting_gunicorn_worker, gunicorn_worker, is_called_from, serves_requests


def _module_with(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(source, module.__dict__)
    return module


def _while_running(function: Callable[..., object], *arguments: object) -> tuple[bool, object]:
    """Return what is seen while `function(enter, leave, …)` runs on a thread of its own."""
    entered, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=function, args=(*arguments, entered, leave))
    thread.start()
    entered.wait(10)
    seen = serves_requests(), gunicorn_worker()
    leave.set()
    thread.join(10)
    return seen


LOOP = "def {name}(entered, leave):\n    entered.set()\n    leave.wait(10)\n"


def test_no_known_loop_runs_here() -> None:
    """Pytest does not serve."""
    assert not serves_requests()
    assert gunicorn_worker() is None


def test_a_known_loop_is_seen_in_any_thread() -> None:
    """Werkzeug's and waitress's loops are known by module and function."""
    for module, name in (("werkzeug.serving", "serve_forever"), ("waitress.server", "run")):
        loop = _module_with(module, LOOP.format(name=name))
        assert _while_running(getattr(loop, name)) == (True, None)
    assert _while_running(_module_with("werkzeug.serving", LOOP.format(name="other")).other) == (False, None)


def test_a_gunicorn_worker_is_seen_with_its_object() -> None:
    """Any class of gunicorn's workers counts, and the worker is found to be asked whether it ends."""
    module = _module_with(
        "gunicorn.workers.sync", "def run(self, entered, leave):\n    entered.set()\n    leave.wait(10)\n"
    )
    worker = object()
    assert _while_running(module.run, worker) == (True, worker)


def test_a_forked_helper_below_a_loop_does_not_serve() -> None:
    """Multiprocessing's child inherits the stack on which its parent served."""
    helper = _module_with("multiprocessing.popen_fork", LOOP.format(name="launch"))
    outer = _module_with("werkzeug.serving", "def serve_forever(inner, entered, leave):\n    inner(entered, leave)\n")
    assert _while_running(outer.serve_forever, helper.launch) == (False, None)


def test_a_gunicorn_worker_that_boots_is_known_until_it_serves() -> None:
    """What is loaded below its serving loop, by a first request, is no boot of the worker's."""
    base = _module_with("gunicorn.workers.base", "def init_process(self, ask):\n    return ask()\n")
    sync = _module_with("gunicorn.workers.sync", "def run(self, ask):\n    return ask()\n")
    worker = object()
    assert base.init_process(worker, booting_gunicorn_worker) is worker
    assert base.init_process(worker, lambda: sync.run(worker, booting_gunicorn_worker)) is None
    assert booting_gunicorn_worker() is None


def test_callers_are_known_by_module_and_function() -> None:
    """The failure of a boot asks who called it."""
    module = _module_with("waitress.runner", "def run(ask):\n    return ask()\n")
    assert module.run(lambda: is_called_from("waitress.runner", "run"))
    assert not is_called_from("waitress.runner", "run")
