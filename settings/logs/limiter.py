"""How often the same error is logged: the first ones in full, the rest counted to the last."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from settings.forks import watch_forks
from settings.problems import mask_urls

WINDOW_SECONDS = 60.0
EXAMPLE_LENGTH = 300
OTHERS = "others"
"""Fingerprint of the one summary for what is held back of more errors at once than are remembered."""


@dataclass(frozen=True, slots=True)
class About:
    """What people are told of an error beside its counts.

    Attributes:
        example: Text of one occurrence, masked.
        where: Where it was raised or logged; empty when that is not known.
        level: Name of its level.
    """

    example: str = ""
    where: str = ""
    level: str = "ERROR"


_UNTOLD = About()


@dataclass(frozen=True, slots=True)
class Summary:
    """What was held back of one error since its last summary.

    Attributes:
        fingerprint: What makes two errors the same.
        suppressed: How many were held back.
        first_seen: When the first of them came, in seconds since 1970.
        last_seen: When the last of them came, in seconds since 1970.
        about: One example, where and how grave.
    """

    fingerprint: str
    suppressed: int
    first_seen: float
    last_seen: float
    about: About


@dataclass(frozen=True, slots=True)
class RepeatedError:
    """An error with its counts, for as long as its fingerprint is remembered.

    Attributes:
        fingerprint: What makes two errors the same.
        seen: How often it came.
        suppressed: How many of these were held back.
        first_seen: When it came first, in seconds since 1970.
        last_seen: When it came last, in seconds since 1970.
        example: Text of one occurrence, masked.
        where: Where it was raised or logged.
        level: Name of its level.
    """

    fingerprint: str
    seen: int
    suppressed: int
    first_seen: float
    last_seen: float
    example: str
    where: str
    level: str


class _Detail:
    """The counts of an error that came more than once; `reported` of `suppressed` stood in a summary already.

    Moments are those of the monotonic clock, and become the wall's when they are read.
    """

    __slots__ = ("about", "fingerprint", "first_seen", "held_since", "last_seen", "logged", "reported", "suppressed")

    def __init__(self, fingerprint: str, first_seen: float, about: About = _UNTOLD) -> None:
        self.fingerprint, self.about = fingerprint, about
        self.first_seen = self.last_seen = self.held_since = first_seen
        self.logged, self.suppressed, self.reported = 1, 0, 0


class _Entry:
    """A fingerprint that is remembered; what came only once has no detail, so that 10,000 of them take little."""

    __slots__ = ("detail", "passed", "window_end")

    def __init__(self, window_end: float) -> None:
        self.window_end, self.passed = window_end, 1
        self.detail: _Detail | None = None


def _once(fingerprint: str, entry: _Entry) -> _Detail:
    return _Detail(fingerprint, entry.window_end - WINDOW_SECONDS)


def _about(occurrence: object) -> About:
    return About(mask_urls(str(occurrence))[:EXAMPLE_LENGTH])


def _seen(detail: _Detail) -> int:
    return detail.logged + detail.suppressed


def _nobody(_summary: Summary) -> None: ...


class ErrorRateLimiter:
    """Decides which records pass, and counts the others. Thread-safe; a forked child starts at zero.

    At every moment seen = logged + suppressed; what is suppressed stands in exactly one summary, also when
    its fingerprint is forgotten to bound the memory. May be called by a signal handler or a finalizer that
    interrupts one of its own calls.

    Args:
        per_minute: Records of one fingerprint that pass each minute, counted from the first; 0 lets all pass.
        max_fingerprints: Fingerprints remembered; beyond it the one unused for longest goes.
        clock: Monotonic clock, in seconds.
        wall: Seconds since 1970, for the summaries.
        describe: Makes the example of an error from the second occurrence of it.
        on_hold: Told of the first record of an error that is held back after a summary; called without the lock.
    """

    _entries: dict[str, _Entry]
    _held: list[_Detail]
    _latest: _Entry | None
    _others: _Detail

    def __init__(
        self,
        *,
        per_minute: int = 5,
        max_fingerprints: int = 10000,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        describe: Callable[[Any], About] = _about,
        on_hold: Callable[[Summary], None] = _nobody,
    ) -> None:
        self._per_minute, self._max = per_minute or sys.maxsize, max_fingerprints
        self._clock, self._wall, self._describe, self._on_hold = clock, wall, describe, on_hold
        self._lock = threading.RLock()
        self._forget()
        watch_forks(self, last=True)

    def should_log(self, fingerprint: str, occurrence: object = "") -> bool:
        """Count one record and say whether it passes.

        Args:
            fingerprint: What makes two errors the same.
            occurrence: What `describe` makes an example of: a text by default.
        """
        now = self._clock()
        fresh = begins = False
        lock = self._lock
        # Who waits inside of acquire() gets the lock while another has the GIL, and from then on each call waits for a
        # switch of threads: seven times the cost. Tried like this, whoever has the lock has the GIL, too.
        while not lock.acquire(False):  # noqa: FBT003 - a keyword costs more, in the hottest line
            time.sleep(0)
        try:
            entry = self._entries.get(fingerprint)
            if entry is None:
                return self._remember(fingerprint, now)
            if entry is not self._latest:
                self._use(fingerprint, entry)
            detail = entry.detail
            if detail is None:
                fresh, detail = True, _Detail(fingerprint, entry.window_end - WINDOW_SECONDS)
                entry.detail = detail
            detail.last_seen = now
            if now >= entry.window_end:
                entry.window_end, entry.passed = now + WINDOW_SECONDS, 0
            if passes := entry.passed < self._per_minute:
                entry.passed += 1
                detail.logged += 1
                self._logged += 1
            else:
                if detail.suppressed == detail.reported:
                    begins = self._hold(detail)
                self._suppressed += 1
                detail.suppressed += 1
        finally:
            lock.release()
        if fresh or (begins and detail.about is _UNTOLD):  # another thread may still be describing the second one
            detail.about = self._describe(occurrence)
        if begins:
            self._on_hold(self._summary_of(detail, 1))
        return passes

    def statistics(self) -> Mapping[str, int]:
        """Return the counts since the start, the fork or the reset: seen, logged, suppressed, fingerprints."""
        with self._lock:
            seen = self._logged + self._suppressed
            return {"seen": seen, "logged": self._logged, "suppressed": self._suppressed,
                    "fingerprints": len(self._entries)}  # fmt: skip

    def summaries(self) -> list[Summary]:
        """Return what was held back since the last call, and count it as reported.

        The lock is never held for longer than one fingerprint takes, however many there are.
        """
        with self._lock:
            held, self._held = self._held, []
            if self._others.suppressed > self._others.reported:
                held.append(self._others)
        return [summary for summary in map(self._take, held) if summary.suppressed]

    def repeated(self, limit: int = 20) -> list[RepeatedError]:
        """Return the remembered errors, the most frequent first; one that came once is told without an example.

        It is told at all because it may have come once in each process of a fleet.
        """
        with self._lock:
            entries = list(self._entries.items())
        details = [entry.detail or _once(fingerprint, entry) for fingerprint, entry in entries]
        return [self._repeated_of(detail) for detail in nlargest(limit, details, key=_seen)]

    def reset(self) -> None:
        """Forget every count and fingerprint."""
        with self._lock:
            self._forget()

    def close(self) -> list[Summary]:
        """Let everything pass from now on, and return the last summaries; no record is missing in them."""
        with self._lock:
            self._per_minute = sys.maxsize
        return self.summaries()

    def _forget(self) -> None:
        self._entries, self._held, self._latest = {}, [], None
        self._others = _Detail(OTHERS, 0.0, About("errors of more kinds at once than LOG_MAX_FINGERPRINTS"))
        self._logged = self._suppressed = 0

    def _remember(self, fingerprint: str, now: float) -> bool:
        if len(self._entries) >= self._max:
            self._entries.pop(next(iter(self._entries)), None)  # what is held back of it stays in self._held
        self._latest = self._entries[fingerprint] = _Entry(now + WINDOW_SECONDS)
        self._logged += 1
        return True

    def _use(self, fingerprint: str, entry: _Entry) -> None:
        """Put an entry where the one used last stands: at the end."""
        self._latest = self._entries[fingerprint] = self._entries.pop(fingerprint, entry)

    def _hold(self, detail: _Detail) -> bool:
        """Put it on the list of the next summary, or count it with the others when that is full."""
        if len(self._held) < self._max:
            detail.held_since = detail.last_seen
            self._held.append(detail)
            return True
        others = self._others
        if others.suppressed == others.reported:
            others.held_since = detail.last_seen
        others.last_seen = detail.last_seen
        others.suppressed += 1
        detail.reported += 1
        return False

    def _take(self, detail: _Detail) -> Summary:
        with self._lock:
            count, detail.reported = detail.suppressed - detail.reported, detail.suppressed
            return self._summary_of(detail, count)

    def _summary_of(self, detail: _Detail, count: int) -> Summary:
        began = self._wall() - self._clock()
        last_seen = max(detail.held_since, detail.last_seen)  # threads count in another order than they read the clock
        return Summary(detail.fingerprint, count, began + detail.held_since, began + last_seen, detail.about)

    def _repeated_of(self, detail: _Detail) -> RepeatedError:
        began, about = self._wall() - self._clock(), detail.about
        return RepeatedError(detail.fingerprint, _seen(detail), detail.suppressed,
                             began + detail.first_seen, began + detail.last_seen,
                             about.example, about.where, about.level)  # fmt: skip

    def before_fork(self) -> None:
        """Take nothing: a child forgets all that another thread may be half-way through."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Count from zero: what the parent has seen, the parent reports."""
        self._lock = threading.RLock()
        self._forget()
