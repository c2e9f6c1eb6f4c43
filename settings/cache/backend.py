"""What the application gets: a flask_caching.Cache that outlives its Redis, and tells how it is."""

import functools
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from flask import Flask

from settings.cache.decorators import StampedeProtectedCache
from settings.cache.diagnosis import diagnose_redis, url_option
from settings.cache.failover import Failover
from settings.cache.health import Health
from settings.cache.memory import MemoryStore
from settings.cache.model import CacheSettings, RedisSettings
from settings.cache.operations import InProcess, ResilientBackend
from settings.forks import watch_forks
from settings.probe import Fact, Reading
from settings.problems import Diagnosis, Problem, SettingsError

if TYPE_CHECKING:
    from flask_caching.backends.simplecache import SimpleCache

CLOSED = "closed"
BACKEND = "settings.cache.operations.ResilientBackend"

logger = logging.getLogger(__name__)


class ResilientCache(StampedeProtectedCache):
    """An ordinary `flask_caching.Cache`, with all of its decorators; `build_cache` makes it, `init_app` attaches it.

    Args:
        backend: The operations.
        memory: The store in this process.
        failover: Redis and what is done while it is away; None: the cache does without.
        health: What the cache tells of itself.
        config: What Flask-Caching is told at `init_app`.
    """

    def __init__(
        self,
        backend: ResilientBackend,
        memory: MemoryStore,
        failover: Failover | None,
        *,
        health: Health,
        config: dict[str, Any],
    ) -> None:
        super().__init__(config)
        self._backend, self._failover, self._health = backend, failover, health
        self._locked = (failover or memory, backend, self._stampede)
        self._replaced = False
        watch_forks(self)

    @property
    def cache(self) -> "SimpleCache":
        """The backend; without looking for the application first, unless one of them has replaced it."""
        return super().cache if self._replaced else cast("SimpleCache", self._backend)

    def init_app(self, app: Flask, config: dict[str, Any] | None = None) -> None:
        """Attach the cache to an application; REDIS_ and CACHE_ decide, not the application's own `CACHE_TYPE`.

        A `config` with another CACHE_TYPE (`NullCache`, in a test) replaces the backend, as with any Cache.
        """
        if config is None or config.get("CACHE_TYPE", BACKEND) == BACKEND:
            config = {**(config or {}), "CACHE_TYPE": BACKEND, "CACHE_OPTIONS": {"backend": self._backend}}
        else:
            self._replaced = True
            self._health.disabled = f"replaced by {config['CACHE_TYPE']}"
        super().init_app(app, config)

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add `delta` to a number, 0 when it is missing, and return the sum; None when the value is no number."""
        return self.cache.inc(key, delta)

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Take `delta` from a number, 0 when it is missing, and return the rest; None when the value is no number."""
        return self.cache.dec(key, delta)

    def reading(self) -> Reading:
        """Return what is known of Redis now: healthy, fallback, disabled, or unknown before it was asked."""
        return self._health.reading()

    def ping(self) -> Reading:
        """Ask Redis, within its time-outs, whether the cache can use it; while it is away, only when that is due."""
        return self._health.ping()

    def figures(self) -> Mapping[str, Fact]:
        """Return mode, counts and latency for metrics."""
        return self._health.figures() | {"stampede_waits": self._stampede.waited}

    def close(self) -> None:
        """Purge what waits for it if Redis answers, stop probing, close the connections; once or many times."""
        if self._failover is not None and self._health.disabled != CLOSED:
            self._failover.close()
        self._health.disabled = CLOSED

    def before_fork(self) -> None:
        """Let no other thread be half-way through a change."""
        for part in self._locked:
            part.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for part in reversed(self._locked):
            part.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Keep mode and entries; new locks and connections, no thread, counts from zero."""
        for part in self._locked:
            part.after_fork_in_child()


def build_cache(
    redis: RedisSettings, cache: CacheSettings, *, strict: bool = False, refused: Diagnosis | None = None
) -> ResilientCache:
    """Return the cache that REDIS_URL and CACHE_ describe, not yet attached to an application.

    No connection is made. Without REDIS_URL none ever is, and redis is not even imported.

    Args:
        redis: REDIS_URL and its time-outs.
        cache: Prefix, default time-out and size.
        strict: Whether a REDIS_URL with an impossible option raises; else it is reported once, and the cache does
            without Redis.
        refused: What is wrong with the REDIS_URL that was given, where `redis` has none for that.

    Raises:
        SettingsError: The prefix is empty, so that `clear()` would delete everybody's keys; or, when strict, REDIS_URL
            has an option that redis-py does not know.
    """
    if not cache.key_prefix.strip():
        raise SettingsError([_empty_prefix()])
    if redis.url is None:
        return _in_process(cache, target="REDIS_URL", refused=refused)
    try:
        return _with_redis(redis, cache)
    except ValueError as error:
        refused = url_option(error)
    if strict:
        raise SettingsError([Problem("REDIS_URL", "error", refused.code, refused.cause, refused.fix)])
    logger.error("REDIS_URL: %s [%s]; the cache does without Redis. Fix: %s.", refused.cause, refused.code, refused.fix)
    return _in_process(cache, target=masked_target(redis.url.get_secret_value()), refused=refused)


def masked_target(url: str) -> str:
    """Return scheme, host, port and path of a URL: neither user, nor password, nor query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _secrets(url: str) -> frozenset[str]:
    parts = urlsplit(url)
    in_query = [value for name, value in parse_qsl(parts.query) if "password" in name]
    return frozenset(each for each in (unquote(parts.password or ""), *in_query) if each)


def _empty_prefix() -> Problem:
    message = "it is empty, and clear() would delete every key of the Redis database, other applications' too"
    return Problem(
        "CACHE_KEY_PREFIX", "error", "empty-key-prefix", message, "set it to a word of your own, such as myapp:"
    )


def _flask_config(cache: CacheSettings) -> dict[str, Any]:
    return {
        "CACHE_DEFAULT_TIMEOUT": math.ceil(cache.default_timeout),
        "CACHE_KEY_PREFIX": cache.key_prefix,
        "CACHE_THRESHOLD": cache.threshold,
    }


def _in_process(cache: CacheSettings, *, target: str, refused: Diagnosis | None) -> ResilientCache:
    memory = MemoryStore(max_entries=cache.threshold)
    backend = _backend(InProcess(memory), cache)
    health = Health(backend, memory, target=target, refused=refused)
    return ResilientCache(backend, memory, None, health=health, config=_flask_config(cache))


def _with_redis(redis: RedisSettings, cache: CacheSettings) -> ResilientCache:
    # Imported here: redis costs 50 ms, and a process without REDIS_URL never needs it.
    from settings.cache.client import RedisStore, connect

    url = "" if redis.url is None else redis.url.get_secret_value()
    tls = url.lower().startswith("rediss:")
    memory = MemoryStore(max_entries=cache.threshold, longest_seconds=cache.default_timeout or None)
    failover = Failover(
        RedisStore(functools.partial(connect, redis), prefix=cache.key_prefix),
        memory,
        target=masked_target(url),
        diagnose=functools.partial(diagnose_redis, tls=tls, secrets=_secrets(url)),
        retry_after=cache.retry_after,
    )
    backend = _backend(failover, cache)
    health = Health(backend, memory, failover, target=masked_target(url))
    return ResilientCache(backend, memory, failover, health=health, config=_flask_config(cache))


def _backend(tier: InProcess | Failover, cache: CacheSettings) -> ResilientBackend:
    return ResilientBackend(tier, key_prefix=cache.key_prefix, default_timeout=math.ceil(cache.default_timeout))
