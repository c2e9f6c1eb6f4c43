"""P5 and P6: what an error costs that is held back."""

import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loguru import logger

from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs
from tests.benchmarks.harness import Bar, Sampler, cpu_per_call, pair

CALLS = 4000
Action = Callable[[], object]


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


REFUSING = "filter=lambda r: False"
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
]  # fmt: skip
