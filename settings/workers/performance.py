"""Latency and outcome of every request, by endpoint, in bounded memory."""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from settings.forks import watch_forks
from settings.probe import Fact

BOUNDS_MS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000, 30000)
"""Upper bounds of the histogram's buckets in milliseconds; a last bucket has none."""
MOST_ENDPOINTS = 500
OTHERS = "(others)"
SLOW, FAILING = "slow-endpoint", "failing-endpoint"
LEAST_REQUESTS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A limit that an endpoint went beyond in one interval.

    Attributes:
        alert_type: `slow-endpoint` or `failing-endpoint`.
        endpoint: Flask's endpoint.
        value: The p95 in milliseconds, or the share of 5xx.
        limit: What it went beyond.
        requests: Requests of the interval.
    """

    alert_type: str
    endpoint: str
    value: float
    limit: float
    requests: int


class _Counts:
    __slots__ = ("buckets", "errors", "requests", "slowest_ms", "total_ms")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_MS) + 1)
        self.requests = self.errors = 0
        self.total_ms = self.slowest_ms = 0.0

    def add(self, status: int, milliseconds: float) -> None:
        self.buckets[bisect_left(BOUNDS_MS, milliseconds)] += 1
        self.requests += 1
        self.errors += status >= 500
        self.total_ms += milliseconds
        self.slowest_ms = max(self.slowest_ms, milliseconds)

    def percentile_ms(self, share: float) -> float:
        """Return the upper bound of the bucket in which the share is reached; the slowest one in the last bucket."""
        wanted, seen = share * self.requests, 0
        for bound, count in zip(BOUNDS_MS, self.buckets, strict=False):
            seen += count
            if seen >= wanted:
                return min(float(bound), self.slowest_ms)
        return self.slowest_ms


class PerformanceMonitor:
    """Counts each request of this process and finds what went beyond its limit.

    Args:
        latency_threshold_ms: A p95 above it is a finding.
        error_rate_threshold: A share of 5xx above it is a finding.
    """

    def __init__(self, *, latency_threshold_ms: float, error_rate_threshold: float) -> None:
        self._latency_ms, self._error_rate = latency_threshold_ms, error_rate_threshold
        self._own: dict[str, tuple[float | None, float | None]] = {}
        self._lock = threading.Lock()
        self._now: dict[str, _Counts] = {}
        self._total = _Counts()
        watch_forks(self)

    def limit(self, endpoint: str, latency_ms: float | None = None, error_rate: float | None = None) -> None:
        """Give an endpoint limits of its own; None keeps the general one."""
        self._own[endpoint] = (latency_ms, error_rate)

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        milliseconds = seconds * 1000
        with self._lock:
            counts = self._now.get(endpoint) or self._counts(endpoint)
            counts.add(status, milliseconds)
            self._total.add(status, milliseconds)

    def findings(self) -> list[Finding]:
        """Return what went beyond its limit since the last call, and begin a new interval."""
        with self._lock:
            interval, self._now = self._now, {}
        return [each for endpoint, counts in interval.items() for each in self._judge(endpoint, counts)]

    def figures(self) -> Mapping[str, Fact]:
        """Return this process's figures since its start: requests, errors, p50, p95 and slowest in milliseconds."""
        with self._lock:
            total = self._total
            return {
                "requests": total.requests,
                "errors": total.errors,
                "p50_ms": total.percentile_ms(0.5),
                "p95_ms": total.percentile_ms(0.95),
                "slowest_ms": round(total.slowest_ms, 3),
            }

    def _counts(self, endpoint: str) -> _Counts:
        name = endpoint if len(self._now) < MOST_ENDPOINTS else OTHERS
        return self._now.setdefault(name, _Counts())

    def _judge(self, endpoint: str, counts: _Counts) -> list[Finding]:
        if counts.requests < LEAST_REQUESTS:
            return []
        own_latency, own_rate = self._own.get(endpoint, (None, None))
        judged = (
            (SLOW, counts.percentile_ms(0.95), self._latency_ms if own_latency is None else own_latency),
            (FAILING, counts.errors / counts.requests, self._error_rate if own_rate is None else own_rate),
        )
        return [
            Finding(kind, endpoint, value, limit, counts.requests) for kind, value, limit in judged if value > limit
        ]

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero."""
        self._lock = threading.Lock()
        self._now, self._total = {}, _Counts()
