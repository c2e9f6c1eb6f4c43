"""P7: what holding back costs when there are very many errors: time, memory, the lock, threads."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable

from settings.logs.fingerprint import Fingerprints
from settings.logs.limiter import ErrorRateLimiter
from tests.benchmarks.harness import Bar, Sampler, cpu_per_call, pair

THREADS = 8


def _repeats(begin: int, end: int) -> Sampler:
    """Return a sampler of one decision among the repeats from `begin` to `end`, over several fingerprints if few."""

    def sample() -> float:
        rounds = max(1, 20000 // (end - begin))
        spent = 0.0
        for _ in range(rounds):
            limiter = ErrorRateLimiter()
            for _ in range(begin):
                limiter.should_log("error")
            spent += cpu_per_call(lambda: limiter.should_log("error"), number=end - begin)()  # noqa: B023 - called in its own round
        return spent / rounds

    return sample


def _growth(errors: Callable[[ErrorRateLimiter], None]) -> float:
    """Return the memory that `errors` adds to a limiter, in MiB."""
    gc.collect()
    tracemalloc.start()
    try:
        limiter = ErrorRateLimiter()
        before = tracemalloc.get_traced_memory()[0]
        errors(limiter)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / 2**20
    finally:
        tracemalloc.stop()


def growth_of_repeats() -> float:
    """Return the memory of a million repeats, in MiB."""

    def errors(limiter: ErrorRateLimiter) -> None:
        for _ in range(1_000_000):
            limiter.should_log("error")

    return _growth(errors)


def growth_of_distinct() -> float:
    """Return the memory of 100,000 different errors and their fingerprints, in MiB."""
    fingerprints = Fingerprints()
    letters = str.maketrans("0123456789", "abcdefghij")

    def errors(limiter: ErrorRateLimiter) -> None:
        for n in range(100_000):
            limiter.should_log(fingerprints.of("orders.py", 17, f"failed for {str(n).translate(letters)}"))

    return _growth(errors)


class TimedLock:
    """A lock that remembers for how long it was held at the longest."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._since, self.longest = 0.0, 0.0

    def acquire(self) -> None:
        """Take it."""
        self._lock.acquire()
        self._since = time.thread_time()

    def release(self) -> None:
        """Give it back."""
        self.longest = max(self.longest, time.thread_time() - self._since)
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def longest_hold() -> float:
    """Return for how long a summary of 10,000 errors holds the lock at the longest, in seconds of its thread."""
    limiter = ErrorRateLimiter()
    for n in range(10_000):
        for _ in range(7):
            limiter.should_log(f"error {n}")
    lock = TimedLock()
    limiter._lock = lock  # type: ignore[assignment] # what is measured is the lock
    assert len(limiter.summaries()) == 10_000
    return lock.longest


def by_threads(threads: int) -> Sampler:
    """Return a sampler of one decision while that many threads decide."""

    def sample() -> float:
        limiter = ErrorRateLimiter()
        ready = threading.Barrier(threads + 1)

        def run() -> None:
            ready.wait()
            for _ in range(160_000 // threads):
                limiter.should_log("error")

        workers = [threading.Thread(target=run) for _ in range(threads)]
        for each in workers:
            each.start()
        ready.wait()
        begin = time.perf_counter()
        for each in workers:
            each.join()
        return (time.perf_counter() - begin) / 160_000

    return sample


def constant(value: float) -> Sampler:
    """Return a sampler of a bound that is no cost of anything."""
    return lambda: value


REPEATED = pair(_repeats(100_000, 1_000_000), _repeats(10, 100))
BARS = [
    Bar("P7.a", "repeats 1e5 to 1e6", "repeats 10 to 100", 1.3, REPEATED, 3),
    Bar("P7.b", "memory of 1e6 repeats (MiB)", "1 MiB", 1, pair(growth_of_repeats, constant(1)), 1),
    Bar("P7.c", "memory of 1e5 distinct errors (MiB)", "2 MiB", 1, pair(growth_of_distinct, constant(2)), 1),
    Bar("P7.d", "longest hold of the lock by a summary", "1 ms", 1, pair(longest_hold, constant(0.001)), 5),
    Bar("P7.e", "8 threads", "1 thread", 1.4, pair(by_threads(THREADS), by_threads(1))),
]  # fmt: skip
