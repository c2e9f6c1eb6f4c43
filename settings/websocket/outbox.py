"""The bounded queue of events on their way out, and the account of every call."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """What became of one `send()`.

    `QUEUED` events leave in order while connected; the oldest may still be dropped, and is counted, when too many
    wait. What was sent is a counter (`figures()["sent"]`), since only a blocking write could know of one event.
    """

    QUEUED = "queued"
    DROPPED = "dropped"


Queued = tuple[str, str, float]
"""An event's name, its payload as JSON, and when it was given to us, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every call, at one moment: `calls == sent + queued + dropped`.

    Attributes:
        calls: Calls of `send()`.
        sent: Events handed to the network.
        queued: Events that wait, with the one that is being written.
        dropped: Events lost: the oldest of a full queue, refused ones, and those of a client that is closed.
        refused: Of the dropped, those whose name or payload could not be encoded.
    """

    calls: int
    sent: int
    queued: int
    dropped: int
    refused: int


class Outbox:
    """Holds events in order; thread-safe, and never waits for more than its own lock.

    Args:
        size: Events held beside the one that is being written; beyond it the oldest goes.
        clock: Seconds since the epoch.
    """

    def __init__(self, size: int, *, clock: Callable[[], float] = time.time) -> None:
        self._size, self._clock = size, clock
        self.reset()

    def reset(self) -> None:
        """Begin anew, with locks of its own: what a forked child does."""
        self._lock = threading.RLock()  # a signal handler, or a finalizer, may send while its own thread sends
        self._waiting: deque[Queued] = deque()
        self._in_hand: Queued | None = None
        self._calls = self._sent = self._dropped = self._refused = 0
        self._open, self._reader_waits = True, False

    def offer(self, event: str, payload: str) -> tuple[Delivery, bool]:
        """Queue an event; return what became of it, and whether the reader must be woken."""
        with self._lock:
            self._calls += 1
            if not self._open:
                self._dropped += 1
                return Delivery.DROPPED, False
            self._waiting.append((event, payload, self._clock()))
            if len(self._waiting) > self._size:
                self._waiting.popleft()
                self._dropped += 1
            wake, self._reader_waits = self._reader_waits, False
            return Delivery.QUEUED, wake

    def refuse(self) -> Delivery:
        """Count an event that could not be encoded."""
        with self._lock:
            self._calls += 1
            self._dropped += 1
            self._refused += 1
        return Delivery.DROPPED

    def take(self) -> Queued | None:
        """Return the oldest event, which then is in the reader's hand; None: the next `offer` asks to be woken."""
        with self._lock:
            self._in_hand = self._waiting.popleft() if self._waiting else None
            self._reader_waits = self._in_hand is None
            return self._in_hand

    def sent(self) -> None:
        """Count the event in hand as sent, unless it was abandoned meanwhile."""
        with self._lock:
            if self._in_hand is not None:
                self._in_hand = None
                self._sent += 1

    def put_back(self) -> None:
        """Return the event in hand, if any, to the front; nobody reads until the next `take`."""
        with self._lock:
            self._reader_waits = False
            if self._in_hand is None:
                return
            if len(self._waiting) < self._size:
                self._waiting.appendleft(self._in_hand)
            else:
                self._dropped += 1  # it is the oldest
            self._in_hand = None

    def close(self) -> None:
        """Take no further events; what waits stays, and may still be sent."""
        with self._lock:
            self._open = False

    def abandon(self) -> None:
        """Drop what waits, because nobody will ever send it."""
        with self._lock:
            self._dropped += len(self._waiting) + (self._in_hand is not None)
            self._waiting.clear()
            self._in_hand = None

    def account(self) -> Account:
        """Return what became of every call so far."""
        with self._lock:
            queued = len(self._waiting) + (self._in_hand is not None)
            return Account(self._calls, self._sent, queued, self._dropped, self._refused)

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()
