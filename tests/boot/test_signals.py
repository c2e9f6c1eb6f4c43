"""SIGTERM while a gunicorn worker boots."""

import os
import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

from settings.boot.signals import ended_by_sigterm


class _Worker:
    """What is used of gunicorn's worker object."""

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive

    def handle_exit(self, _number: int, _frame: object) -> None:
        """Note that the worker is to end, as gunicorn does."""
        self.alive = False


def _in_worker(worker: _Worker, boot: Callable[[], Any]) -> Any:
    module = ModuleType("gunicorn.workers.base")
    exec("def init_process(self, boot):\n    return boot()\n", module.__dict__)
    return module.init_process(worker, boot)


def _end_of_child(life: Callable[[], object]) -> int:
    """Run `life` in a child and return its exit status, negative for a signal."""
    if (child := os.fork()) == 0:
        try:
            life()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _boot_and_be_told(worker: _Worker, *, during: bool) -> None:
    signal.signal(signal.SIGTERM, worker.handle_exit)

    def boot() -> None:
        with ended_by_sigterm():
            if during:
                signal.raise_signal(signal.SIGTERM)
        if not during:
            signal.raise_signal(signal.SIGTERM)

    _in_worker(worker, boot)


def test_a_worker_that_boots_ends_at_once() -> None:
    """Told before or during the boot, it dies of the signal; told afterwards, gunicorn's handler notes it."""
    assert _end_of_child(lambda: _boot_and_be_told(_Worker(alive=True), during=True)) == -signal.SIGTERM
    assert _end_of_child(lambda: _boot_and_be_told(_Worker(alive=False), during=False)) == -signal.SIGTERM
    assert _end_of_child(lambda: _boot_and_be_told(_Worker(alive=True), during=False)) == 0


def test_any_other_process_keeps_its_handler() -> None:
    """An application that has a handler of its own is asked during the boot, too."""
    seen: list[int] = []
    earlier = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    try:
        with ended_by_sigterm():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, earlier)
    assert seen == [signal.SIGTERM]
