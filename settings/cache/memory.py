"""The cache in this process: bounded, least recently used goes first, values as bytes so that nothing is shared."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from settings.cache.store import UnusableValue

INT64 = 2**63
# As Redis has it: no white space, no leading zero.
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


class MemoryStore:
    """Keeps at most `max_entries` values; thread-safe.

    Cachelib's SimpleCache sorts all of its entries at every `set` beyond its threshold, and drops those without
    a time-out first; hence a store of our own.

    Args:
        max_entries: Entries kept; beyond it the least recently used one goes.
        longest_seconds: Ceiling of every entry's life; None: none. In an outage of Redis it bounds for how long this
            process may serve what another one has deleted meanwhile.
        clock: Monotonic clock, in seconds.

    Attributes:
        operations: Calls answered since the process began (or was forked).
    """

    def __init__(
        self, *, max_entries: int, longest_seconds: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries, self._longest, self._clock = max_entries, longest_seconds, clock
        self._entries: OrderedDict[str, tuple[float | None, bytes]] = OrderedDict()
        self._lock = threading.RLock()  # a signal handler, or a finalizer, may use the cache while its own thread does
        self.operations = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""
        with self._lock:
            self.operations += 1
            return self._find(key)

    def get_many(self, keys: Collection[str]) -> list[bytes | None]:
        """Return the values of the keys, None for each one that is missing, in their order."""
        with self._lock:
            self.operations += 1
            return [self._find(key) for key in keys]

    def has(self, key: str) -> bool:
        """Say whether a key has a value."""
        return self.get(key) is not None

    def set_many(self, values: Mapping[str, bytes], seconds: int | None) -> None:
        """Keep all values for `seconds`; None: for ever."""
        with self._lock:
            self.operations += 1
            for key, value in values.items():
                self._keep(key, value, seconds)

    def add(self, key: str, value: bytes, seconds: int | None) -> bool:
        """Keep a value unless the key has one; say whether it was kept."""
        with self._lock:
            self.operations += 1
            if self._find(key) is not None:
                return False
            self._keep(key, value, seconds)
            return True

    def delete_many(self, keys: Collection[str]) -> int:
        """Delete the keys and return how many there were."""
        with self._lock:
            self.operations += 1
            found = [key for key in dict.fromkeys(keys) if self._find(key) is not None]
            for key in keys:
                self._entries.pop(key, None)
            return len(found)

    unlink_many = delete_many

    def inc(self, key: str, delta: int) -> int:
        """Add `delta` to a number, 0 when it is missing, and return the sum; its time-out stays, as in Redis.

        Raises:
            UnusableValue: The value is no integer of 64 bits, or would not be one afterwards.
        """
        with self._lock:
            self.operations += 1
            found = self._find(key)
            total = _integer(key, found) + delta
            if not -INT64 <= total < INT64:
                raise UnusableValue(key, "the sum does not fit into 64 bits")
            expires = self._entries[key][0] if found is not None else self._expiry(None)
            self._put(key, expires, str(total).encode())
            return total

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.operations += 1
            self._entries.clear()

    def before_fork(self) -> None:
        """Let no other thread be half-way through a change."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Keep the entries, count from zero."""
        self._lock = threading.RLock()
        self.operations = 0

    def _find(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        expires, value = entry
        if expires is not None and expires <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def _expiry(self, seconds: int | None) -> float | None:
        if self._longest is not None:
            seconds_left = self._longest if seconds is None else min(seconds, self._longest)
            return self._clock() + seconds_left
        return None if seconds is None else self._clock() + seconds

    def _keep(self, key: str, value: bytes, seconds: int | None) -> None:
        self._put(key, self._expiry(seconds), value)

    def _put(self, key: str, expires: float | None, value: bytes) -> None:
        self._entries.pop(key, None)
        self._entries[key] = (expires, value)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)


def _integer(key: str, value: bytes | None) -> int:
    if value is None:
        return 0
    if not _INTEGER.fullmatch(value) or not -INT64 <= int(value) < INT64:
        raise UnusableValue(key, "the value is not an integer of 64 bits")
    return int(value)
