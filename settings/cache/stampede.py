"""One caller computes a missing value, the others with the same key wait for it: within a process, with a bound."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Flight:
    """One key that is being computed."""

    owner: int
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Turn:
    """One call of a protected function.

    Attributes:
        wait_seconds: How long this call may wait in all for another one's result.
        key: The key whose value the call wants; None until it is known.
        asked: Whether the value was found missing already; what is asked for afterwards, the function itself asks for.
        leading: The key that this call computes for the others; None when it computes for none.
    """

    wait_seconds: float
    key: str | None = None
    asked: bool = False
    leading: str | None = None

    def wants(self, key: str) -> bool:
        """Say whether `key` is the one that the call is about, asked for the first time."""
        return not self.asked and self.key == key


class Stampede:
    """Knows which keys are being computed in this process, and which call wants which; thread-safe.

    A value comes back through the cache only, never from one thread to another: each caller gets a copy, and what
    the cache was told not to keep is computed by each.

    Attributes:
        waited: Calls that waited for another one since the process began.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # as in the store in this process
        self._flights: dict[str, _Flight] = {}
        self._local = threading.local()
        self.waited = 0

    @contextmanager
    def turn(self, wait_seconds: float) -> Iterator[Turn]:
        """Make a call of a protected function the current one of its thread, and land what it leads at its end."""
        outer, turn = self.current(), Turn(wait_seconds)
        self._local.turn = turn
        try:
            yield turn
        finally:
            self._local.turn = outer
            if turn.leading is not None:
                self._land(turn.leading)

    def current(self) -> Turn | None:
        """Return the protected call that this thread is in, if any."""
        return getattr(self._local, "turn", None)

    def noting(self, make_key: Callable[..., str]) -> Callable[..., str]:
        """Return `make_key`, which from now on tells the current call which key it is about."""

        @functools.wraps(make_key)
        def noted(*args: object, **kwargs: object) -> str:
            key = make_key(*args, **kwargs)
            turn = self.current()
            if turn is not None and not turn.asked:
                turn.key = key
            return key

        return noted

    def wait(self, turn: Turn, key: str, look: Callable[[], object]) -> object:
        """Wait until the value of a key is there, or this call has to compute it; return what is there.

        A call that was waited for and left no value (None, a filter, an exception) is waited for once: the next one
        would leave none either, and all those that waited compute now, side by side.

        Args:
            turn: The current call.
            key: The key that it is about, found missing.
            look: Reads the cache again.
        """
        turn.asked = True
        flight = self._lead_or_follow(turn, key)
        if flight is not None:
            flight.done.wait(turn.wait_seconds)
        return look()  # also a new leader: between its first look and now another one may have finished

    def before_fork(self) -> None:
        """Let no other thread be half-way through a change."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget what the parent's threads compute."""
        self._lock = threading.RLock()
        self._flights = {}
        self.waited = 0

    def _lead_or_follow(self, turn: Turn, key: str) -> _Flight | None:
        """Return the flight to wait for; None when this call leads, or is nested in the one that does."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = _Flight(threading.get_ident())
                turn.leading = key
                return None
            if flight.owner == threading.get_ident():
                return None
            self.waited += 1
            return flight

    def _land(self, key: str) -> None:
        with self._lock:
            flight = self._flights.pop(key, None)
        if flight is not None:  # a child that was forked within the call knows of none
            flight.done.set()
