"""Latency and outcome of every request and statement of this process, in bounded memory."""

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from settings.forks import watch_forks
from settings.probe import Fact, HealthStatus, Reading

STEP = 1.1
BOUNDS_MS = tuple(0.1 * STEP**n for n in range(145))
"""Upper bounds of the histogram's buckets in milliseconds, 0.1 ms to 90 s; a last bucket has none."""
MOST_ENDPOINTS = 500
MOST_WAITING = 100
"""Requests that are counted together, which costs each of them less; whoever asks counts what waits first."""
OTHERS = "(others)"
SLOW, FAILING, SLOW_DATABASE = "slow-endpoint", "failing-endpoint", "slow-database"
ALERT_TYPES = (SLOW, FAILING, SLOW_DATABASE)
LEAST_CALLS = 20
"""Fewer requests or statements in an interval say nothing."""
LONGEST_STATEMENT = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A limit that was exceeded in one interval.

    Attributes:
        alert_type: `slow-endpoint`, `failing-endpoint` or `slow-database`.
        endpoint: Flask's endpoint; empty for the database.
        service_name: `database`, or empty for an endpoint.
        value: The p95 in milliseconds (at most a tenth above the true one), or the share of 5xx.
        limit: What was exceeded.
        calls: Requests or statements of the interval.
    """

    alert_type: str
    endpoint: str
    service_name: str
    value: float
    limit: float
    calls: int


class _Counts:
    """A histogram of durations, with the calls that were late or wrong."""

    __slots__ = ("buckets", "calls", "errors", "late", "limit_ms", "slowest_ms", "total_ms")

    def __init__(self, limit_ms: float) -> None:
        self.limit_ms = limit_ms
        self.buckets = [0] * (len(BOUNDS_MS) + 1)
        self.calls = self.errors = self.late = 0
        self.total_ms = self.slowest_ms = 0.0

    def add(self, milliseconds: float, *, wrong: bool) -> None:
        self.buckets[bisect_left(BOUNDS_MS, milliseconds)] += 1
        self.calls += 1
        self.total_ms += milliseconds
        if wrong:
            self.errors += 1
        if milliseconds > self.limit_ms:
            self.late += 1
        if milliseconds > self.slowest_ms:
            self.slowest_ms = milliseconds

    def merge(self, other: "_Counts") -> None:
        self.buckets = [one + two for one, two in zip(self.buckets, other.buckets, strict=True)]
        self.calls, self.errors, self.late = (
            self.calls + other.calls,
            self.errors + other.errors,
            self.late + other.late,
        )
        self.total_ms, self.slowest_ms = self.total_ms + other.total_ms, max(self.slowest_ms, other.slowest_ms)

    def percentile_ms(self, share: float) -> float:
        """Return the upper bound of the bucket in which the share is reached, never above the slowest call."""
        wanted, seen = share * self.calls, 0
        for bound, count in zip(BOUNDS_MS, self.buckets, strict=False):
            seen += count
            if seen >= wanted:
                return min(bound, self.slowest_ms)
        return self.slowest_ms

    def is_slow(self) -> bool:
        """Say whether the p95 is above the limit; exact, since the late ones are counted one by one."""
        return self.calls >= LEAST_CALLS and 20 * self.late > self.calls


class PerformanceMonitor:
    """Counts each request and statement of this process and finds what exceeded its limit; thread-safe.

    Args:
        latency_threshold_ms: A p95 above it is a finding, and a statement above it is slow, in milliseconds.
        error_rate_threshold: A share of 5xx above it is a finding.
        cache: Returns the cache's hits and misses so far.
    """

    def __init__(
        self,
        *,
        latency_threshold_ms: float,
        error_rate_threshold: float,
        cache: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self._latency_ms, self._error_rate, self._cache = latency_threshold_ms, error_rate_threshold, cache
        self._own: dict[str, tuple[float | None, float | None]] = {}
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, int, float]] = deque()
        self._now: dict[str, _Counts] = {}
        self._all = _Counts(latency_threshold_ms)
        self._statements, self._all_statements = _Counts(latency_threshold_ms), _Counts(latency_threshold_ms)
        self._slowest = ""
        watch_forks(self)

    def limit(self, endpoint: str, latency_ms: float | None = None, error_rate: float | None = None) -> None:
        """Give an endpoint limits of its own; None keeps the general one.

        Raises:
            ValueError: A limit is not more than 0, or the share is above 1.
        """
        if (latency_ms is not None and not latency_ms > 0) or (error_rate is not None and not 0 < error_rate <= 1):
            raise ValueError(
                f"limit of {endpoint!r}: latency_ms={latency_ms!r}, error_rate={error_rate!r}; give more than 0 "
                "milliseconds, and a share above 0 and up to 1"
            )
        with self._lock:
            self._count_waiting()
            self._own[endpoint] = (latency_ms, error_rate)
            if (counts := self._now.pop(endpoint, None)) is not None:
                self._all.merge(counts)

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request, together with others or when figures are asked for."""
        self._waiting.append((endpoint, status, seconds))
        if len(self._waiting) >= MOST_WAITING:
            with self._lock:
                self._count_waiting()

    def observe_statement(self, statement: str, seconds: float, *, failed: bool = False) -> None:
        """Count one statement that the database ran; its text is kept, shortened, when it is the slowest so far."""
        milliseconds = seconds * 1000
        with self._lock:
            if milliseconds > max(self._statements.slowest_ms, self._all_statements.slowest_ms):
                self._slowest = " ".join(statement.split())[:LONGEST_STATEMENT]
            self._statements.add(milliseconds, wrong=failed)

    def findings(self) -> list[Finding]:
        """Return what exceeded its limit since the last call, and begin a new interval."""
        with self._lock:
            self._count_waiting()
            interval, self._now = self._now, {}
            statements, self._statements = self._statements, _Counts(self._latency_ms)
            self._all_statements.merge(statements)
            for counts in interval.values():
                self._all.merge(counts)
        found = [each for endpoint, counts in interval.items() for each in self._judge(endpoint, counts)]
        if statements.is_slow():
            p95 = statements.percentile_ms(0.95)
            found.append(Finding(SLOW_DATABASE, "", "database", p95, statements.limit_ms, statements.calls))
        return found

    def figures(self) -> Mapping[str, Fact]:
        """Return this process's figures since its start: durations in milliseconds, counts, the cache's hit rate."""
        with self._lock:
            self._count_waiting()
            requests, statements = _Counts(0), _Counts(0)
            for counts in (self._all, *self._now.values()):
                requests.merge(counts)
            for counts in (self._all_statements, self._statements):
                statements.merge(counts)
            slowest = self._slowest
        return {**_request_figures(requests), **_statement_figures(statements, slowest), **self._cache_figures()}

    def reading(self) -> Reading:
        """Return the figures as a row of health, which never is unhealthy: alerts say what is wrong with them."""
        facts = self.figures()
        return Reading(HealthStatus.HEALTHY, f"{facts['requests']} requests, p95 {facts['p95_ms']} ms", facts=facts)

    def _count_waiting(self) -> None:
        while self._waiting:
            endpoint, status, seconds = self._waiting.popleft()
            counts = self._now.get(endpoint) or self._begin(endpoint)
            counts.add(seconds * 1000, wrong=status >= 500)

    def _begin(self, endpoint: str) -> _Counts:
        name = endpoint if len(self._now) < MOST_ENDPOINTS else OTHERS
        latency_ms, _ = self._own.get(name, (None, None))
        return self._now.setdefault(name, _Counts(self._latency_ms if latency_ms is None else latency_ms))

    def _judge(self, endpoint: str, counts: _Counts) -> list[Finding]:
        found = []
        if counts.is_slow():
            p95 = counts.percentile_ms(0.95)
            found.append(Finding(SLOW, endpoint, "", p95, counts.limit_ms, counts.calls))
        _, own_rate = self._own.get(endpoint, (None, None))
        limit = self._error_rate if own_rate is None else own_rate
        if counts.calls >= LEAST_CALLS and counts.errors / counts.calls > limit:
            found.append(Finding(FAILING, endpoint, "", counts.errors / counts.calls, limit, counts.calls))
        return found

    def _cache_figures(self) -> Mapping[str, Fact]:
        hits, misses = self._cache()
        return {"cache_hit_rate": round(hits / (hits + misses), 4)} if hits + misses else {}

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._now, self._slowest = {}, ""
        self._all, self._statements, self._all_statements = (_Counts(self._latency_ms) for _ in range(3))


def _request_figures(counts: _Counts) -> dict[str, Fact]:
    return {
        "requests": counts.calls,
        "errors": counts.errors,
        "p50_ms": round(counts.percentile_ms(0.5), 3),
        "p95_ms": round(counts.percentile_ms(0.95), 3),
        "slowest_ms": round(counts.slowest_ms, 3),
    }


def _statement_figures(counts: _Counts, slowest: str) -> dict[str, Fact]:
    return {
        "statements": counts.calls,
        "statement_errors": counts.errors,
        "statement_total_ms": round(counts.total_ms, 3),
        "statement_p95_ms": round(counts.percentile_ms(0.95), 3),
        "slow_statements": counts.late,
        "slowest_statement_ms": round(counts.slowest_ms, 3),
        "slowest_statement": slowest,
    }
