"""How often the same error is logged: the first ones in full, the rest counted to the last."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from settings.forks import watch_forks

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What was held back of one error since its last summary.

    Attributes:
        fingerprint: What makes two errors the same.
        suppressed: How many were held back.
        first_seen: When the first of them came, in seconds since 1970.
        last_seen: When the last of them came, in seconds since 1970.
        example: Text of the first occurrence that was logged.
    """

    fingerprint: str
    suppressed: int
    first_seen: float
    last_seen: float
    example: str


class _Entry:
    __slots__ = ("example", "first_seen", "last_seen", "passed", "suppressed", "window_end")

    def __init__(self, window_end: float, example: str) -> None:
        self.window_end, self.example = window_end, example
        self.passed = self.suppressed = 0
        self.first_seen = self.last_seen = 0.0


class ErrorRateLimiter:
    """Decides which records pass, and counts the others. Thread-safe; a forked child starts at zero.

    At every moment seen = logged + suppressed; what is suppressed appears in exactly one summary, also when
    its fingerprint is forgotten to bound the memory.

    Args:
        per_minute: Records of one fingerprint that pass each minute; 0 lets all pass.
        max_fingerprints: Fingerprints remembered; beyond it the one unused for longest goes.
        clock: Monotonic clock, in seconds.
        wall: Seconds since 1970, for the summaries.
    """

    def __init__(
        self,
        *,
        per_minute: int = 5,
        max_fingerprints: int = 10000,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._per_minute, self._max, self._clock, self._wall = per_minute, max_fingerprints, clock, wall
        self._lock = threading.Lock()
        self._forget()
        watch_forks(self)

    def should_log(self, fingerprint: str, example: str = "") -> bool:
        """Count one record and say whether it passes."""
        now = self._clock()
        with self._lock:
            entry = self._entry(fingerprint, now, example)
            if self._per_minute == 0 or entry.passed < self._per_minute:
                entry.passed += 1
                self._logged += 1
                return True
            entry.last_seen = self._wall()
            entry.first_seen = entry.first_seen or entry.last_seen
            entry.suppressed += 1
            self._suppressed += 1
            return False

    def statistics(self) -> Mapping[str, int]:
        """Return the counts since the start, the fork or the reset: seen, logged, suppressed, fingerprints."""
        with self._lock:
            seen = self._logged + self._suppressed
            return {"seen": seen, "logged": self._logged, "suppressed": self._suppressed,
                    "fingerprints": len(self._entries)}  # fmt: skip

    def summaries(self) -> list[Summary]:
        """Return what was held back since the last call, and count it as reported."""
        with self._lock:
            found, self._evicted = self._evicted, []
            for fingerprint, entry in self._entries.items():
                if entry.suppressed:
                    found.append(_summary(fingerprint, entry))
                    entry.suppressed, entry.first_seen = 0, 0.0
        return found

    def reset(self) -> None:
        """Forget every count and fingerprint."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._evicted: list[Summary] = []
        self._logged = self._suppressed = 0

    def _entry(self, fingerprint: str, now: float, example: str) -> _Entry:
        entry = self._entries.get(fingerprint)
        if entry is None:
            self._make_room()
            entry = self._entries[fingerprint] = _Entry(now + WINDOW_SECONDS, example)
        else:
            self._entries.move_to_end(fingerprint)
            if now >= entry.window_end:
                entry.window_end, entry.passed = now + WINDOW_SECONDS, 0
        return entry

    def _make_room(self) -> None:
        if len(self._entries) >= self._max:
            fingerprint, entry = self._entries.popitem(last=False)
            if entry.suppressed:
                self._evicted.append(_summary(fingerprint, entry))

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero: what the parent has seen, the parent reports."""
        self._lock = threading.Lock()
        self._forget()


def _summary(fingerprint: str, entry: _Entry) -> Summary:
    return Summary(fingerprint, entry.suppressed, entry.first_seen, entry.last_seen, entry.example)
