"""The thread that asks whether Redis is back: it lives no longer than an outage."""

import logging
import threading
from collections.abc import Callable

SHORTEST_WAIT_SECONDS = 0.01
"""Between two looks while a caller is probing."""

logger = logging.getLogger(__name__)


class Prober:
    """Runs one daemon thread, when told to, until Redis is in use again; the caller holds a lock around each call.

    Args:
        due_in: Seconds until the next probe.
        probe: Probes if that is due, and says whether Redis is in use.
    """

    def __init__(self, *, due_in: Callable[[], float], probe: Callable[[], bool]) -> None:
        self._due_in, self._probe = due_in, probe
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread of this outage lives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Start the thread of an outage; False when the process can have no more threads."""
        thread = threading.Thread(target=self._run, args=(self._stop,), name="cache-probe", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError as error:
            logger.debug("no thread for probing Redis (%s): a caller will", error)
            return False
        return True

    def stop(self) -> None:
        """End the thread, soon; a probe that is under way ends by its time-outs."""
        self._stop.set()

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread."""
        self._stop = threading.Event()
        self._thread = None

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(max(self._due_in(), SHORTEST_WAIT_SECONDS)):
            if self._thread is not threading.current_thread() or self._probe():
                return  # a caller may have been faster, and a later outage have a thread of its own by now
