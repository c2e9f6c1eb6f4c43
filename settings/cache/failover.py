"""Redis while it answers, the memory of this process while it does not, and a clean way back."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from settings.cache.breaker import Breaker
from settings.cache.faults import is_fault_of_redis
from settings.cache.memory import MemoryStore
from settings.cache.prober import Prober
from settings.cache.recovery import Journal, Tally, UnfinishedError
from settings.cache.store import Store
from settings.problems import Diagnosis

if TYPE_CHECKING:
    from settings.cache.client import RedisStore

T = TypeVar("T")

CALLER_GRACE_SECONDS = 1.0
"""How far a probe may be overdue before the next caller makes it: the thread that should have did not run."""

SMALL_PURGE = 100
"""Keys that are purged while writers wait; more are purged before, while they go on."""

CLOSE_SECONDS = 1.0
"""What a purge at the end of a process may take."""

EARLY_PURGES = 3
"""Of those before, at the most: an application may clear or write as fast as it is purged."""

logger = logging.getLogger(__name__)


class Failover:
    """Runs each operation on Redis or, while that is away, on the memory of this process; never raises for Redis.

    The first failure opens the breaker: from then on nothing waits for Redis. A daemon thread, which lives no longer
    than the outage, probes once per `retry_after`, so that an idle process purges in time too; where threads do not
    run, a caller probes. What was written or deleted meanwhile, the operation that opened the breaker included, is
    deleted from Redis before Redis is read again; writers wait for the last, small part of that, readers never.

    Args:
        redis: The store that is preferred.
        memory: The store of an outage; empty whenever there is none.
        target: Masked URL, for logs.
        diagnose: Says why an operation failed.
        retry_after: Seconds between a failure and the next attempt.
        clock: Monotonic clock, in seconds.
        wall: Now, in UTC.

    Attributes:
        away: Whether Redis is left alone now.
        since: When the present mode began.
        latency_seconds: Of the last probe that succeeded; None before the first.
        tally: Counts for health and metrics.
    """

    def __init__(
        self,
        redis: "RedisStore",
        memory: MemoryStore,
        *,
        target: str,
        diagnose: Callable[[BaseException], Diagnosis],
        retry_after: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._redis, self._memory, self._target = redis, memory, target
        self._diagnose, self._clock, self._wall = diagnose, clock, wall
        self._breaker = Breaker(retry_after=retry_after, clock=clock)
        self._journal = Journal()
        self._lock = threading.RLock()
        self._prober = Prober(due_in=self.next_probe_seconds, probe=self.try_return)
        self._overdue_at = 0.0
        self._served_before = 0
        self._operation = ""
        self.away = False
        self.since = wall()
        self.latency_seconds: float | None = None
        self.tally = Tally()

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Why Redis is away; None while it is not."""
        return self._breaker.diagnosis

    def read(self, name: str, operation: Callable[[Store], T]) -> T:
        """Run an operation that changes nothing.

        Raises:
            UnusableValue: What lies under the key is of another kind.
        """
        if not self.away:
            try:
                return operation(self._redis)
            except Exception as error:  # noqa: BLE001 # no request fails on account of Redis or its client
                self._failed(error, name)
        elif self._clock() >= self._overdue_at:
            self._nudge()
        return operation(self._memory)

    def write(self, name: str, keys: Collection[str] | None, operation: Callable[[Store], T]) -> T:
        """Run an operation that changes `keys` (None: all of the prefix), and remember them when Redis missed it.

        Raises:
            UnusableValue: What lies under the key is of another kind.
        """
        while True:
            if not self.away:
                try:
                    return operation(self._redis)
                except Exception as error:  # noqa: BLE001 # no request fails on account of Redis or its client
                    self._failed(error, name, keys)
            elif self._clock() >= self._overdue_at:
                self._nudge()
            with self._lock:
                if self.away:
                    self._journal.note(keys)
                    self.tally.local_writes += 1
                    return operation(self._memory)

    def ping(self) -> None:
        """Ask Redis whether the cache can use it, unless it is away; then the next probe will tell."""
        if self.away:
            if self._clock() >= self._overdue_at:
                self._nudge()
            return
        try:
            self.latency_seconds = self._redis.probe()
        except Exception as error:  # noqa: BLE001 # what is asked for is whether it fails
            self._failed(error, "ping")

    def try_return(self) -> bool:
        """Probe if that is due and nobody else does; True when Redis is in use again."""
        with self._lock:
            if not self._breaker.claim_probe():
                return not self.away
            self._overdue_at = self._clock() + self._breaker.interval + CALLER_GRACE_SECONDS
        try:
            self._redis.renew()
            latency = self._redis.probe(self._operation)
            self._purge_and_close()
        except BaseException as error:  # noqa: BLE001 # it is still away, whatever it says
            self._still_away(error)
            return False
        self.latency_seconds = latency
        return True

    def remembered(self) -> tuple[int, bool]:
        """Return how many keys wait for their purge, and whether the whole prefix does."""
        return len(self._journal), self._journal.everything

    def next_probe_seconds(self) -> float:
        """Return the seconds until Redis is asked again; 0 while it is in use."""
        return self._breaker.due_in() if self.away else 0.0

    def served_now(self) -> int:
        """Return how many operations the memory has served in this outage."""
        return self._memory.operations - self._served_before if self.away else 0

    def pool_figures(self) -> tuple[int, int]:
        """Return how many connections to Redis are in use, and how many there may be."""
        return self._redis.pool_figures()

    def close(self) -> None:
        """Stop probing; purge what waits for it if Redis answers now, as nobody else will; close the connections.

        The purge has CLOSE_SECONDS; what it does not reach is said, and stale until its time-out.
        """
        self._prober.stop()
        self._redis.end_within(CLOSE_SECONDS)
        with self._lock:
            wanted = self.away and bool(len(self._journal) or self._journal.everything)
        if wanted:
            try:
                self._redis.renew()
                self._purge_and_close()
            except Exception as error:  # noqa: BLE001 # an end must come to its end
                keys, everything = self.remembered()
                what = "all keys" if everything else f"{keys} key(s)"
                late = f"took longer than {CLOSE_SECONDS:g} s" if isinstance(error, UnfinishedError) else ""
                why = late or f"is still away ({self._diagnose(error).code})"
                logger.warning("Redis (%s) %s; %s of it may be stale until their time-out", self._target, why, what)
        self._redis.close()

    def before_fork(self) -> None:
        """Let no other thread be half-way through a change."""
        self._lock.acquire()
        self._memory.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._memory.after_fork_in_parent()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Keep mode, entries and journal; new locks, no thread yet, connections of its own, counts from zero."""
        self._lock = threading.RLock()
        self._prober.after_fork_in_child()
        self._overdue_at = 0.0
        self._breaker.forget_probe()
        self._memory.after_fork_in_child()
        self._redis.after_fork_in_child()
        self._served_before = 0
        self.tally = Tally()

    def _failed(self, error: Exception, name: str, keys: Collection[str] | None = ()) -> None:
        if not is_fault_of_redis(error):
            raise error
        diagnosis = self._diagnose(error)
        with self._lock:
            self.tally.failures += 1
            self._journal.note(keys)
            if not self._breaker.open(diagnosis):
                return
            self._operation = name
            self._served_before = self._memory.operations
            self.tally.outages += 1
            self.since = self._wall()
            self.away = True
            self._start_prober()
            pause = self._breaker.interval
        self._announce(diagnosis, f"this process caches in its own memory, next attempt in {pause:g} s")

    def _announce(self, diagnosis: Diagnosis, what: str) -> None:
        level = logging.WARNING if diagnosis.transient else logging.ERROR
        said = (self._target, diagnosis.cause, diagnosis.code, what, diagnosis.fix)
        logger.log(level, "REDIS_URL (%s): %s [%s]; %s. Fix: %s.", *said)

    def _still_away(self, error: BaseException) -> None:
        with self._lock:
            self._breaker.forget_probe()  # first of all: or nobody would ever probe again
        if not is_fault_of_redis(error):
            raise error
        diagnosis = self._diagnose(error)
        with self._lock:
            before = self._breaker.diagnosis
            self._breaker.probe_failed(diagnosis)
            pause = self._breaker.due_in()
        if before is not None and not diagnosis.transient and before.code != diagnosis.code:
            self._announce(diagnosis, f"it answers, but cannot be used; next attempt in {pause:g} s")
        else:
            logger.debug("Redis (%s) is still away: %s", self._target, diagnosis.code)

    def _purge_and_close(self) -> None:
        for _ in range(EARLY_PURGES):
            keys, everything = self.remembered()
            if keys <= SMALL_PURGE and not everything:
                break
            self._purge()
        with self._lock:
            self._purge()
            if not self.away:
                return  # a closing process and its prober may both have come this far
            served = self.served_now()
            self._memory.clear()
            self.away = False
            length = self._breaker.close()
            self.since = self._wall()
            self.tally.served_locally += served
        logger.info("Redis (%s) is in use again after %.1f s; this process's memory served %d operation(s) meanwhile",
                    self._target, length, served)  # fmt: skip

    def _purge(self) -> None:
        with self._lock:
            purge = self._journal.take()
        try:
            self._redis.purge(purge)
        except BaseException:
            with self._lock:
                self._journal.put_back(purge)
            raise
        with self._lock:
            self.tally.purged_keys += len(purge.keys)
            self.tally.purged_prefixes += purge.everything

    def _nudge(self) -> None:
        """See to it that somebody probes: a thread, or where none can run, this caller."""
        with self._lock:
            if self.away and not self._prober.running and self._start_prober():
                return
        self.try_return()

    def _start_prober(self) -> bool:
        self._overdue_at = self._clock() + self._breaker.due_in() + CALLER_GRACE_SECONDS
        return self._prober.start()
