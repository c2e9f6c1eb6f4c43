"""Redis as a store of the cache: explicit time-outs, a bounded pool, no retry after a time-out."""

import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from math import inf
from typing import Any, TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from settings.cache.connection import NamedConnection, NamedSSLConnection
from settings.cache.model import RedisSettings
from settings.cache.recovery import Purge, UnfinishedError
from settings.cache.store import UnusableValue

T = TypeVar("T")

BATCH = 1000
"""Keys that one SCAN or UNLINK of a purge deals with: a server that serves others too is not held up for long."""

_UNUSABLE = ("WRONGTYPE", "value is not an integer", "increment or decrement would overflow")


def connect(settings: RedisSettings) -> "redis.Redis":
    """Return a client of REDIS_URL; no connection is made before the first command.

    Options in the URL's query are honoured, but for the time-outs and the size of the pool, which have variables.
    A thread waits for a connection of the pool no longer than for a command.

    Raises:
        ValueError: The URL has an option that is unknown or has an impossible value.
    """
    if settings.url is None:
        raise ValueError("REDIS_URL is not set")
    scheme, _, rest = settings.url.get_secret_value().partition("://")
    # redis-py annotates neither of these two, and mypy strict refuses calls of what is not annotated.
    parse, make_pool = cast("Any", parse_url), cast("Any", redis.BlockingConnectionPool)
    options: dict[str, Any] = parse(f"{scheme.lower()}://{rest}")
    options |= {
        "socket_connect_timeout": settings.connect_timeout,
        "socket_timeout": settings.timeout,
        "socket_keepalive": True,
        "socket_keepalive_options": _no_late_delivery(settings),
        "max_connections": settings.max_connections,
        "timeout": settings.timeout,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "decode_responses": False,
        "encoding": "utf-8",
        "encoding_errors": "surrogatepass",  # a key may be any str, as it may in the memory of this process
    }
    # The newer protocol brings nothing that a cache needs, and lets the server's notices stretch our time-outs.
    options.setdefault("protocol", 2)
    if options.get("password"):
        # With a user's name, a server that wants no password takes any; older ones are asked again without it.
        options.setdefault("username", "default")
    kind = options.get("connection_class")
    if kind is redis.UnixDomainSocketConnection:
        del options["socket_keepalive"], options["socket_keepalive_options"]
    named = {None: NamedConnection, redis.SSLConnection: NamedSSLConnection}
    options["connection_class"] = named.get(kind, kind)
    try:
        pool = make_pool(**options)
        # An impossible option fails when a connection object is made, which connects to nothing yet.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, AttributeError, redis.RedisError) as error:
        raise ValueError(str(error)) from None
    return redis.Redis(connection_pool=pool)


def _no_late_delivery(settings: RedisSettings) -> dict[int, int]:
    """Return what keeps the kernel from sending a command again long after its time-out.

    After a network was cut, TCP goes on sending what a closed connection had left to say, for minutes: an old
    value could come to Redis after its key was purged (tcp(7), TCP_USER_TIMEOUT, in milliseconds; Linux only).
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    return {} if option is None else {option: int(max(settings.timeout, settings.connect_timeout) * 1000)}


def glob_escape(text: str) -> str:
    """Return a pattern for SCAN that matches exactly `text`."""
    return "".join(f"\\{each}" if each in "\\*?[]^-" else each for each in text)


class RedisStore:
    """The keys of one prefix in Redis; thread-safe. Every method may raise what redis-py raises.

    Args:
        make_client: Makes the client, and makes it anew in a forked child.
        prefix: What every key begins with; not empty.
    """

    _until = inf

    def __init__(self, make_client: Callable[[], "redis.Redis"], *, prefix: str) -> None:
        self._make_client, self._prefix = make_client, prefix
        self._client = make_client()

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""
        return self._once_more(lambda: _bytes(self._client.get(key)), key)

    def get_many(self, keys: Collection[str]) -> list[bytes | None]:
        """Return the values of the keys, None for each one that is missing, in their order."""
        return self._once_more(lambda: [_bytes(each) for each in _list(self._client.mget(list(keys)))])

    def has(self, key: str) -> bool:
        """Say whether a key has a value."""
        return self._once_more(lambda: bool(self._client.exists(key)))

    def set_many(self, values: Mapping[str, bytes], seconds: int | None) -> None:
        """Keep all values for `seconds`, in one round trip."""
        if len(values) == 1:
            [(key, value)] = values.items()
            self._once_more(lambda: self._client.set(key, value, ex=seconds))
        else:
            self._once_more(lambda: self._set_pipelined(values, seconds))

    def add(self, key: str, value: bytes, seconds: int | None) -> bool:
        """Keep a value unless the key has one; never tried twice, as the second try would find the first one's."""
        return bool(self._client.set(key, value, ex=seconds, nx=True))

    def delete_many(self, keys: Collection[str]) -> int:
        """Delete the keys and return how many there were."""
        return self._once_more(lambda: _number(self._client.delete(*keys)))

    def unlink_many(self, keys: Collection[str]) -> int:
        """Delete the keys, their memory being freed later, and return how many there were."""
        return self._once_more(lambda: _number(self._client.unlink(*keys)))

    def inc(self, key: str, delta: int) -> int:
        """Add `delta` and return the sum; never tried twice.

        Raises:
            UnusableValue: The value is not an integer.
        """
        try:
            return _number(self._client.incrby(key, delta))
        except redis.ResponseError as error:
            if not _is_about_the_value(error):
                raise
            raise UnusableValue(key, str(error)) from error

    def clear(self) -> None:
        """Delete every key of the prefix, and no other, a batch at a time."""
        pattern = f"{glob_escape(self._prefix)}*"
        cursor = 0
        while True:
            self._look_at_the_clock()
            cursor, found = self._client.scan(cursor, match=pattern, count=BATCH)
            if found:
                self._client.unlink(*found)
            if int(cursor) == 0:
                return

    def purge(self, purge: Purge) -> None:
        """Delete what was written or deleted in this process while Redis was away.

        Raises:
            UnfinishedError: What `end_within` allowed is over.
        """
        if purge.everything:
            self.clear()
        for batch in _batches(purge.keys):
            self._look_at_the_clock()
            self._client.unlink(*batch)

    def end_within(self, seconds: float) -> None:
        """Let whatever deletes many keys, under way or begun later, give up `seconds` from now: the process ends."""
        self._until = time.monotonic() + seconds

    def probe(self, operation: str = "") -> float:
        """Write, read and delete a key of our own, and try what failed; return the seconds that it took.

        A PING would find a read-only replica, a full server and one that cannot save in perfect health.

        Args:
            operation: Name of the operation that failed, so that a missing permission is found to be missing still.
        """
        key = f"{self._prefix}__twelvefactor_probe__"
        begin = time.perf_counter()
        pipe = self._client.pipeline(transaction=False)
        pipe.set(key, 1, px=60_000)
        pipe.get(key)
        extras: dict[str, Callable[[], object]] = {
            "get_many": lambda: pipe.mget([key]), "has": lambda: pipe.exists(key),
            "inc": lambda: pipe.incrby(key, 1), "unlink": lambda: pipe.unlink(key),
            "clear": lambda: pipe.scan(0, match=glob_escape(key), count=1),
        }  # fmt: skip
        extras.get(operation, lambda: None)()
        pipe.delete(key)
        pipe.execute()
        return time.perf_counter() - begin

    def pool_figures(self) -> tuple[int, int]:
        """Return how many connections are in use, and how many there may be."""
        pool = self._client.connection_pool
        waiting = getattr(pool, "pool", None)
        size = int(pool.max_connections)
        return (size - waiting.qsize() if waiting is not None else 0, size)

    def renew(self) -> None:
        """Leave all connections: the next one asks for the address of the host again.

        After a failover by name or proxy, the old ones may still lead to what was the primary before.
        """
        old, self._client = self._client, self._make_client()
        old.connection_pool.disconnect()

    def close(self) -> None:
        """Close all connections; a later command opens new ones."""
        self._until = inf
        self._client.connection_pool.disconnect()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections to the parent."""
        self._client = self._make_client()

    def _look_at_the_clock(self) -> None:
        if time.monotonic() >= self._until:
            raise UnfinishedError

    def _set_pipelined(self, values: Mapping[str, bytes], seconds: int | None) -> None:
        pipe = self._client.pipeline(transaction=False)
        for key, value in values.items():
            pipe.set(key, value, ex=seconds)
        pipe.execute()

    def _once_more(self, command: Callable[[], T], key: str = "") -> T:
        """Run a command that may run twice; the second time only after a pooled connection was found closed."""
        try:
            try:
                return command()
            except redis.ConnectionError as error:
                if not found_closed(error):
                    raise
                return command()
        except redis.ResponseError as error:
            if not _is_about_the_value(error):
                raise
            raise UnusableValue(key, str(error)) from error


def found_closed(error: "redis.RedisError") -> bool:
    """Say whether a connection that had been open turned out to be closed by the other side."""
    if type(error) is not redis.ConnectionError:
        return False  # its subclasses are answers of the server: wrong password, loading
    return any(each in str(error) for each in ("closed by server", "while reading from", "while writing to"))


def _is_about_the_value(error: "redis.ResponseError") -> bool:
    return any(each in str(error) for each in _UNUSABLE)


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _batches(keys: Iterable[str]) -> Iterable[list[str]]:
    iterator = iter(keys)
    while batch := list(islice(iterator, BATCH)):
        yield batch
