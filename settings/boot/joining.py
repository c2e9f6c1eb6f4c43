"""The moment at which a process has run to its end and Python begins to wait for its threads."""

import concurrent.futures.thread  # noqa: F401 - its own hook, which waits for every executor, must be there before ours
import threading
import weakref
from collections.abc import Callable


def before_threads_are_joined(method: Callable[[], object]) -> None:
    """Call a bound method when the main thread is through, for as long as something else keeps its object alive.

    `atexit` comes too late for whatever a thread hinders: Python calls it after it has waited for every executor and
    every thread that is no daemon. The hook that `concurrent.futures` uses has no public name (Lib/threading.py).
    """
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if (alive := reference()) is not None:
            alive()

    threading._register_atexit(call)  # type: ignore[attr-defined] # see above; typeshed leaves it out
