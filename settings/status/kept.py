"""The latest answer to a slow question: asked by one thread at a time, never waited for long."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from settings.forks import watch_forks
from settings.status.diagnosis import diagnose, line

Value = TypeVar("Value")
log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
WAIT_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """What is known now.

    Attributes:
        value: The latest answer, or the empty value when there has been none.
        asked_at: When the question that brought it was asked, in seconds since 1970; None when there is none.
        late: Whether a newer answer is overdue: the question fails, or nobody answers it.
    """

    value: Value
    asked_at: float | None = None
    late: bool = False


class Kept(Generic[Value]):
    """Asks at most once a second, on a daemon thread, and keeps what it was told.

    However many requests come and however long the service is frozen, one question is under way.

    Args:
        name: For the thread.
        ask: The question; may block and may raise.
        empty: The answer before there is one.
        wait_seconds: The longest that `get` waits for a newer answer, counted from when it was asked for: while a
            service is frozen, the callers after the first do not wait.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Value],
        *,
        empty: Value,
        wait_seconds: float = WAIT_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._ask, self._empty = name, ask, empty
        self._wait_seconds, self._wall = wait_seconds, wall
        self._lock = threading.Lock()
        self._latest: Answer[Value] = Answer(empty)
        self._tried_at: float | None = None
        self._under_way: threading.Event | None = None
        self._wait_until = 0.0
        self._refused = False
        watch_forks(self)

    def get(self) -> Answer[Value]:
        """Return the answer, at most a second old where that can be had in time."""
        with self._lock:
            if self._is_fresh():
                return self._latest
            refused = self._begin() if self._under_way is None else None
            under_way, left = self._under_way, self._wait_until - time.monotonic()
        self._tell(refused)
        answered = under_way is not None and under_way.wait(max(left, 0.0))
        latest = self._latest
        return latest if answered else Answer(latest.value, latest.asked_at, late=True)

    def forget(self) -> None:
        """Ask anew at the next `get`, however young the answer is; a question under way does not count."""
        with self._lock:
            self._tried_at = self._under_way = None

    def _begin(self) -> RuntimeError | None:
        """Start the thread that asks; return what the system said when there can be none."""
        under_way = threading.Event()
        thread = threading.Thread(target=self._find_out, args=(under_way,), name=f"status-{self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            return error
        self._under_way, self._wait_until = under_way, time.monotonic() + self._wait_seconds
        return None

    def _tell(self, refused: RuntimeError | None) -> None:
        if refused is not None and not self._refused:
            log.warning("%s", line(diagnose("status-no-thread", what=f"status-{self._name}", error=refused)))
        self._refused = refused is not None

    def _is_fresh(self) -> bool:
        asked_at = self._tried_at
        return asked_at is not None and 0 <= self._wall() - asked_at < FRESH_SECONDS

    def _find_out(self, ended: threading.Event) -> None:
        begin = self._wall()
        try:
            latest = Answer(self._ask(), begin)
        except Exception as error:  # noqa: BLE001 - any fault of a service; the page says that the answer is late
            level = logging.DEBUG if self._latest.late else logging.WARNING
            log.log(level, "%s", line(diagnose("status-tables-unread", error=str(error).partition("\n")[0])))
            latest = Answer(self._latest.value, self._latest.asked_at, late=True)
        with self._lock:
            if self._under_way is ended:
                self._latest, self._tried_at = latest, begin
                self._under_way = None
        ended.set()

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Know nothing yet; the thread that was asking is the parent's."""
        self._lock = threading.Lock()
        self._latest = Answer(self._empty)
        self._tried_at, self._under_way = None, None


def within(seconds: float, name: str, work: Callable[[], object]) -> bool:
    """Change an alert on a thread of its own and say whether that succeeded in time; what it raises is logged.

    Work that is late is not stopped: it may still be done later.
    """
    done = threading.Event()

    def run() -> None:
        try:
            work()
        except Exception as error:
            log.exception("%s", line(diagnose("alert-not-changed", error=type(error).__name__)))
        else:
            done.set()
        finally:
            ended.set()

    ended = threading.Event()
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        log.warning("%s", line(diagnose("status-no-thread", what=name, error=error)))
        return False
    ended.wait(seconds)
    return done.is_set()
