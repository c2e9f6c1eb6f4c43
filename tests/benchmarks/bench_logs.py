"""P5, P6 and P7: what an error costs that is held back, and what holding back costs when there are very many."""

import gc
import io
import logging
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loguru import logger

from settings.logs.fingerprint import Fingerprints
from settings.logs.limiter import ErrorRateLimiter
from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs
from tests.benchmarks.harness import Bar, Sampler

CALLS = 4000
THREADS = 8
Action = Callable[[], object]


def cpu_per_call(function: Action, *, number: int) -> Sampler:
    """Return a sampler of one call's CPU time in this thread: other work on the machine does not count."""

    def sample() -> float:
        begin = time.thread_time()
        for _ in range(number):
            function()
        return (time.thread_time() - begin) / number

    return sample


class Floor:
    """The least that counting an error can be: lock, look-up, count, clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[object, int] = {"error": 0}

    def count(self, key: object = "error") -> None:
        """Count once."""
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1
            time.monotonic()


class RefusingFilter(logging.Filter):
    """A filter that counts a record by its place and text, and refuses it."""

    def __init__(self) -> None:
        super().__init__()
        self._floor = Floor()

    def filter(self, record: logging.LogRecord) -> bool:
        """Count and refuse."""
        self._floor.count((record.pathname, record.lineno, record.getMessage()))
        return False


def message() -> None:
    """Log a text through loguru."""
    logger.error("the payment failed")


def exception() -> None:
    """Log an exception through loguru."""
    try:
        raise ValueError("the payment failed")
    except ValueError:
        logger.exception("the order is lost")


def standard() -> None:
    """Log a text through the standard library."""
    logging.getLogger("bench").error("payment %d failed", 7)


def _settings(**values: object) -> LogsSettings:
    return LogsSettings.model_validate({"level": "INFO", "format": "text", "summary_interval": 86400, **values})


@contextmanager
def _logs(**values: object) -> Iterator[Logs]:
    logs = configure_logs(_settings(**values), app_name="bench", environment="testing", stream=io.StringIO())
    try:
        yield logs
    finally:
        logs.close()


def held_back(action: Action) -> Sampler:
    """Return a sampler of `action`, whose error is held back."""

    def sample() -> float:
        with _logs():
            for _ in range(10):
                action()
            return cpu_per_call(action, number=CALLS)()

    return sample


def logged(action: Action) -> Sampler:
    """Return a sampler of `action`, whose error is logged each time."""

    def sample() -> float:
        with _logs(errors_per_minute=0):
            return cpu_per_call(action, number=CALLS // 4)()

    return sample


def refused(action: Action) -> Sampler:
    """Return a sampler of `action` through a loguru sink that takes nothing."""

    def sample() -> float:
        logger.remove()
        sink = logger.add(io.StringIO(), filter=lambda _: False, format="{message}")
        try:
            return cpu_per_call(action, number=CALLS)()
        finally:
            logger.remove(sink)

    return sample


def filtered() -> float:
    """Return the cost of a stdlib record that a Filter of the root's handler counts and refuses."""
    root, handler = logging.getLogger(), logging.StreamHandler(io.StringIO())
    handler.addFilter(RefusingFilter())
    before, root.handlers = root.handlers, [handler]
    try:
        return cpu_per_call(standard, number=CALLS)()
    finally:
        root.handlers = before


def bridged() -> float:
    """Return the cost of a stdlib record that the bridge holds back."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        return held_back(standard)()
    finally:
        root.handlers = before


def own_entry(with_exception: bool) -> float:
    """Return the cost of a call of `Logs.error` that is held back."""
    error = ValueError("the payment failed") if with_exception else None
    with _logs() as logs:

        def action() -> None:
            logs.error("the order is lost", exception=error)

        for _ in range(10):
            action()
        return cpu_per_call(action, number=CALLS)()


def floor() -> float:
    """Return the cost of the floor."""
    return cpu_per_call(Floor().count, number=CALLS * 4)()


def pair(ours: Sampler, theirs: Sampler) -> Any:
    """Return what opens a pair of samplers that need nothing opened."""

    @contextmanager
    def opened() -> Iterator[tuple[Sampler, Sampler]]:
        yield ours, theirs

    return opened


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


REFUSING = "filter=lambda r: False"
REPEATED = pair(_repeats(100_000, 1_000_000), _repeats(10, 100))
IN_FILTER = "through loguru, held back"
BARS = [
    Bar("P5.a", f"text {IN_FILTER}", "floor", 26, pair(held_back(message), floor)),
    Bar("P5.b", f"exception {IN_FILTER}", "floor", 29, pair(held_back(exception), floor)),
    Bar("P5.c", f"text {IN_FILTER}", REFUSING, 1.15, pair(held_back(message), refused(message))),
    Bar("P5.d", f"exception {IN_FILTER}", REFUSING, 1.15, pair(held_back(exception), refused(exception))),
    Bar("P5.e", f"text {IN_FILTER}", "the same, logged", 0.6, pair(held_back(message), logged(message))),
    Bar("P5.f", f"exception {IN_FILTER}", "the same, logged", 0.2, pair(held_back(exception), logged(exception))),
    Bar("P6.a", "text by our own entry, held back", "floor", 8, pair(lambda: own_entry(False), floor)),
    Bar("P6.b", "exception by our own entry, held back", "floor", 8, pair(lambda: own_entry(True), floor)),
    Bar("P6.c", "stdlib record, held back", "a stdlib Filter that counts and refuses", 1.0, pair(bridged, filtered)),
    Bar("P7.a", "repeats 1e5 to 1e6", "repeats 10 to 100", 1.3, REPEATED, 3),
    Bar("P7.b", "memory of 1e6 repeats (MiB)", "1 MiB", 1, pair(growth_of_repeats, constant(1)), 1),
    Bar("P7.c", "memory of 1e5 distinct errors (MiB)", "2 MiB", 1, pair(growth_of_distinct, constant(2)), 1),
    Bar("P7.d", "longest hold of the lock by a summary", "1 ms", 1, pair(longest_hold, constant(0.001)), 5),
    Bar("P7.e", "8 threads", "1 thread", 1.4, pair(by_threads(THREADS), by_threads(1))),
]  # fmt: skip
