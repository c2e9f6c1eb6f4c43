"""The Flask-Caching backend: every operation on Redis or in this process, none of them raising for Redis."""

import datetime as dt
import logging
import math
import threading
from collections.abc import Callable, Collection, Mapping
from operator import index
from typing import Any, Protocol, TypeVar

from cachelib.serializers import RedisSerializer
from flask import Flask
from flask_caching.backends.base import BaseCache

from settings.cache.memory import INT64, MemoryStore
from settings.cache.store import Store, UnusableValue, Value

T = TypeVar("T")

LONGEST_SECONDS = 10 * 365 * 86_400
"""Longer time-outs are cut to it: Redis refuses what does not fit into 64 bits of milliseconds."""

logger = logging.getLogger(__name__)


class Tier(Protocol):
    """What runs an operation on the right store."""

    def read(self, name: str, operation: Callable[[Store], T]) -> T:
        """Run an operation that changes nothing."""

    def write(self, name: str, keys: Collection[str] | None, operation: Callable[[Store], T]) -> T:
        """Run an operation that changes `keys`; None: all of the prefix."""


class InProcess:
    """The tier without Redis: every operation runs on the memory of this process."""

    def __init__(self, memory: MemoryStore) -> None:
        self._memory = memory

    def read(self, _name: str, operation: Callable[[Store], T]) -> T:
        """Run an operation that changes nothing."""
        return operation(self._memory)

    def write(self, _name: str, _keys: Collection[str] | None, operation: Callable[[Store], T]) -> T:
        """Run an operation that changes keys."""
        return operation(self._memory)


class ResilientBackend(BaseCache):
    """Every operation of Flask-Caching, on Redis or in this process; none raises on account of Redis.

    What lies in Redis and cannot be used (another type, a pickle of a class that is gone) is a miss, and counted.
    A value that cannot be pickled is the caller's mistake and raises, wherever it would have gone.

    Args:
        tier: Runs an operation on the right store.
        key_prefix: In front of every key; not empty.
        default_timeout: Seconds that an entry lives when the caller does not say; 0: for ever.

    Attributes:
        serializer: Turns values into bytes and back; CACHE_SERIALIZER of the application replaces it.
        hits: Values found.
        misses: Values not found.
        unusable: Values found that could not be used.
    """

    def __init__(self, tier: Tier, *, key_prefix: str, default_timeout: int = 300) -> None:
        super().__init__(default_timeout=default_timeout)
        self._tier, self.key_prefix = tier, key_prefix
        self.serializer = RedisSerializer()
        self._lock = threading.RLock()  # as in the store in this process
        self.hits = self.misses = self.unusable = 0

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "ResilientBackend":
        """Return the backend that `ResilientCache` made, which hands it over in CACHE_OPTIONS."""
        del app, config, args
        backend = kwargs.get("backend")
        if not isinstance(backend, cls):
            raise TypeError("this backend comes from settings.cache.backend.build_cache, not from CACHE_TYPE alone")
        return backend

    def get(self, key: str) -> Value:
        """Return the value of a key, or None."""
        full = f"{self.key_prefix}{key}"
        try:
            found = self._tier.read("get", lambda store: store.get(full))
        except UnusableValue as error:
            return self._missed(error)
        return self._load(full, found)

    def get_many(self, *keys: str) -> list[Any]:
        """Return the values of the keys in their order, None for each one that is missing."""
        if not keys:
            return []
        full = [f"{self.key_prefix}{key}" for key in keys]
        found = self._tier.read("get_many", lambda store: store.get_many(full))
        return [self._load(key, value) for key, value in zip(full, found, strict=True)]

    def has(self, key: str) -> bool:
        """Say whether a key has a value."""
        full = f"{self.key_prefix}{key}"
        return self._tier.read("has", lambda store: store.has(full))

    def set(self, key: str, value: Value, timeout: int | dt.timedelta | None = None) -> bool:
        """Keep a value; False when the serializer cannot write it down, and says so by None."""
        return bool(self.set_many({key: value}, timeout))

    def set_many(self, mapping: Mapping[str, Any], timeout: int | dt.timedelta | None = None) -> list[str]:
        """Keep all values and return their keys; a time-out below 0 has passed already."""
        values = {key: self.serializer.dumps(value) for key, value in mapping.items()}
        kept = {f"{self.key_prefix}{key}": value for key, value in values.items() if value is not None}
        seconds = self._seconds(timeout)
        if seconds is not None and seconds < 0:
            self._delete("set_many", list(kept))
        elif kept:
            self._tier.write("set", list(kept), lambda store: store.set_many(kept, seconds))
        return [key for key, value in values.items() if value is not None]

    def add(self, key: str, value: Value, timeout: int | dt.timedelta | None = None) -> bool:
        """Keep a value unless the key has one; say whether it was kept."""
        full, dumped, seconds = f"{self.key_prefix}{key}", self.serializer.dumps(value), self._seconds(timeout)
        if dumped is None or (seconds is not None and seconds < 0):
            return False
        return self._tier.write("add", (full,), lambda store: store.add(full, dumped, seconds))

    def delete(self, key: str) -> bool:
        """Delete a key; say whether it had a value."""
        return self._delete("delete", (f"{self.key_prefix}{key}",)) > 0

    def delete_many(self, *keys: str) -> list[str]:
        """Delete the keys and return them: afterwards none of them is there."""
        if keys:
            self._delete("delete", [f"{self.key_prefix}{key}" for key in keys])
        return list(keys)

    def unlink(self, *keys: str) -> list[str]:
        """Delete the keys, Redis freeing their memory later, and return them."""
        full = [f"{self.key_prefix}{key}" for key in keys]
        if full:
            self._tier.write("unlink", full, lambda store: store.unlink_many(full))
        return list(keys)

    def clear(self) -> bool:
        """Delete every key of the prefix, and no other."""
        self._tier.write("clear", None, lambda store: store.clear())
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add `delta` to a number, 0 when it is missing, and return the sum; None when the value is no number.

        The number's time-out stays as it is, and a new one has none, as in Redis.

        Raises:
            TypeError: `delta` is no whole number.
        """
        full, delta = f"{self.key_prefix}{key}", int(index(delta))
        try:
            if not -INT64 <= delta < INT64:
                raise UnusableValue(full, "the sum does not fit into 64 bits")
            return self._tier.write("inc", (full,), lambda store: store.inc(full, delta))
        except UnusableValue as error:
            self._missed(error)
            return None

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Take `delta` from a number; else as `inc`."""
        return self.inc(key, -index(delta))

    def before_fork(self) -> None:
        """Let no other thread be half-way through a count."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero."""
        self._lock = threading.RLock()
        self.hits = self.misses = self.unusable = 0

    def _delete(self, name: str, full: Collection[str]) -> int:
        return self._tier.write(name, full, lambda store: store.delete_many(full))

    def _seconds(self, timeout: float | dt.timedelta | None) -> int | None:
        """Return whole seconds, rounded up; None: for ever."""
        if timeout is None:
            timeout = self.default_timeout
        seconds = math.ceil(timeout.total_seconds() if isinstance(timeout, dt.timedelta) else timeout)
        return None if seconds == 0 else min(seconds, LONGEST_SECONDS)

    def _load(self, key: str, value: bytes | None) -> Value:
        if value is not None:
            try:
                loaded = self.serializer.loads(value)
            except Exception as error:  # noqa: BLE001 # a pickle may raise anything, and a miss heals it
                return self._missed(UnusableValue(key, f"it cannot be read ({type(error).__name__}: {error})"))
            if loaded is None and value != self.serializer.dumps(None):
                return self._missed(UnusableValue(key, "it cannot be read"))  # cachelib keeps a PickleError to itself
            with self._lock:
                self.hits += 1
            return loaded
        with self._lock:
            self.misses += 1
        return None

    def _missed(self, error: UnusableValue) -> None:
        with self._lock:
            self.unusable += 1
            self.misses += 1
        logger.warning("The cache holds something unusable, taken as missing: %s", error)
