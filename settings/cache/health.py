"""What the cache tells of itself: mode, since when, counts, latency."""

from datetime import UTC, datetime

from settings.cache.failover import Failover
from settings.cache.memory import MemoryStore
from settings.cache.operations import ResilientBackend
from settings.probe import Fact, HealthStatus, Reading
from settings.problems import Diagnosis


class Health:
    """Reads the parts of one cache; asks the network only in `ping`.

    Args:
        backend: Counts hits and misses.
        memory: Counts entries and operations.
        failover: Knows whether Redis is in use; None: the cache does without Redis.
        target: Masked REDIS_URL, or the variable itself where no part of it can be used.
        refused: Why REDIS_URL was set and could not be used at all.

    Attributes:
        disabled: Why the cache is not in use any more; empty while it is.
    """

    def __init__(
        self,
        backend: ResilientBackend,
        memory: MemoryStore,
        failover: Failover | None = None,
        *,
        target: str = "",
        refused: Diagnosis | None = None,
    ) -> None:
        self._backend, self._memory, self._failover = backend, memory, failover
        self._target, self._refused = target, refused
        self._started = datetime.now(UTC)
        self.disabled = ""

    def ping(self) -> Reading:
        """Ask Redis, within its time-outs, unless it is known to be away; never raises."""
        if self._failover is not None and not self.disabled:
            self._failover.ping()
        return self.reading()

    def reading(self) -> Reading:
        """Return what is known now, without asking."""
        if self.disabled:
            return Reading(HealthStatus.DISABLED, self.disabled, facts=self.figures())
        if self._failover is None:
            return self._without_redis()
        return self._with_redis(self._failover)

    def figures(self) -> dict[str, Fact]:
        """Return mode, counts and latency; counts begin with the process."""
        facts: dict[str, Fact] = {
            "mode": self._mode(),
            "since": self._since().isoformat(timespec="seconds"),
            "hits": self._backend.hits,
            "misses": self._backend.misses,
            "unusable_values": self._backend.unusable,
            "local_entries": len(self._memory),
        }
        return facts if self._failover is None else facts | _redis_figures(self._failover)

    def _mode(self) -> str:
        if self.disabled:
            return "disabled"
        if self._failover is None:
            return "in-process" if self._refused is None else "fallback"
        return "fallback" if self._failover.away else "redis"

    def _since(self) -> datetime:
        return self._started if self._failover is None else self._failover.since

    def _without_redis(self) -> Reading:
        if self._refused is None:
            detail = "REDIS_URL is not set: each process caches in its own memory"
            return Reading(HealthStatus.DISABLED, detail, facts=self.figures())
        return self._fallback(self._refused)

    def _with_redis(self, failover: Failover) -> Reading:
        fault = failover.diagnosis
        if fault is not None:
            return self._fallback(fault)
        if failover.latency_seconds is None and not self._backend.hits + self._backend.misses:
            return Reading(HealthStatus.UNKNOWN, f"{self._target}, not asked yet", facts=self.figures())
        return Reading(HealthStatus.HEALTHY, self._target, facts=self.figures())

    def _fallback(self, fault: Diagnosis) -> Reading:
        detail = f"{self._target} cannot be used: each process caches in its own memory"
        return Reading(HealthStatus.FALLBACK, detail, fault.code, fault.cause, fault.fix, self.figures())


def _redis_figures(failover: Failover) -> dict[str, Fact]:
    tally, latency = failover.tally, failover.latency_seconds
    waiting, everything = failover.remembered()
    in_use, size = failover.pool_figures()
    return {
        "latency_ms": None if latency is None else round(latency * 1000, 3),
        "outages": tally.outages,
        "failed_operations": tally.failures,
        "served_locally": tally.served_locally + failover.served_now(),
        "local_writes": tally.local_writes,
        "keys_to_purge": waiting,
        "prefix_to_purge": everything,
        "purged_keys": tally.purged_keys,
        "purged_prefixes": tally.purged_prefixes,
        "next_probe_seconds": round(failover.next_probe_seconds(), 3),
        "pool_in_use": in_use,
        "pool_size": size,
    }
