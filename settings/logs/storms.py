"""What is said of repeated errors: one line when they are held back, summaries, one line when it is over."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from settings.forks import watch_forks
from settings.logs.limiter import About, Summary
from settings.logs.render import moment

Say = Callable[[str, str, Mapping[str, object]], None]
"""Logs one line: level, message, fields for machines."""
_JOIN_SECONDS = 2.0


@dataclass(slots=True)
class _Storm:
    about: About
    began: float
    last_seen: float
    suppressed: int = 0


class Storms:
    """Follows what is held back, and says so: at once when it begins, then each interval without a further call.

    The thread of the timer is made when the first error is held back, in whatever process that is; a forked
    child makes its own.

    Args:
        summaries: Returns what was held back since the last call.
        say: Logs one line.
        interval: Seconds between summaries.
    """

    _thread: threading.Thread | None
    _storms: dict[str, _Storm]

    def __init__(self, *, summaries: Callable[[], list[Summary]], say: Say, interval: float) -> None:
        self._summaries, self._say, self._interval = summaries, say, interval
        self._fresh()
        watch_forks(self, last=True)

    def begin(self, first: Summary) -> None:
        """Say that an error is held back from now on, unless that was said already."""
        with self._lock:
            known = first.fingerprint in self._storms
            if not known:
                self._storms[first.fingerprint] = _Storm(first.about, first.first_seen, first.last_seen)
        self.start()
        if not known:
            self._tell(
                "held-back", first, f"repeated error, held back from now on and summed up every {self._interval:g} s"
            )

    def start(self) -> None:
        """Start the timer, unless it runs."""
        with self._lock:
            if self._thread is not None or self._stop.is_set():
                return
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="log-summaries", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no more threads here now, or the interpreter is ending and its summaries are near
                self._thread = None

    def report(self) -> None:
        """Log a summary of each error that was held back since the last one, and say which are over."""
        with self._lock:
            before = set(self._storms)
        found = self._summaries()
        for summary in found:
            self.tell(summary)
        for fingerprint in before.difference(each.fingerprint for each in found):
            self._over(fingerprint)

    def tell(self, summary: Summary) -> None:
        """Log one summary."""
        with self._lock:
            fresh = _Storm(summary.about, summary.first_seen, summary.last_seen)
            storm = self._storms.setdefault(summary.fingerprint, fresh)
            storm.suppressed += summary.suppressed
            storm.last_seen = summary.last_seen
        times = f"{summary.suppressed} time{'s' * (summary.suppressed != 1)}"
        span = f"from {moment(summary.first_seen)} to {moment(summary.last_seen)}"
        self._tell("summary", summary, f"repeated error, held back {times} {span}")

    def stop(self) -> None:
        """Stop the timer; what is held back by then is left to be told."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(_JOIN_SECONDS)

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            self.report()

    def _over(self, fingerprint: str) -> None:
        with self._lock:
            storm = self._storms.pop(fingerprint, None)
        if storm is not None:
            whole = Summary(fingerprint, storm.suppressed, storm.began, storm.last_seen, storm.about)
            seconds = max(0.0, storm.last_seen - storm.began)  # the wall clock may have been set back
            self._tell(
                "over", whole, f"repeated error, over after {seconds:.1f} s, held back {storm.suppressed} in all"
            )

    def _tell(self, event: str, summary: Summary, words: str) -> None:
        about = summary.about
        where = f" ({about.where})" if about.where else ""
        fields = {
            "event": event,
            "fingerprint": summary.fingerprint,
            "suppressed": summary.suppressed,
            "first_seen": moment(summary.first_seen),
            "last_seen": moment(summary.last_seen),
            "where": about.where,
            "example": about.example,
        }
        self._say(about.level, f"{words}: {about.example}{where} [{summary.fingerprint}]", fields)

    def _fresh(self) -> None:
        self._lock, self._stop = threading.RLock(), threading.Event()
        self._thread, self._storms = None, {}

    def before_fork(self) -> None:
        """Take nothing: a child forgets all that another thread may be half-way through."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent's storms are the parent's, and its thread is not here."""
        self._fresh()
