"""What the cache costs while Redis answers (P8) and while it does not (P9)."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from flask import Flask
from flask_caching import Cache
from redis.backoff import NoBackoff
from redis.retry import Retry

from settings.cache.backend import ResilientCache, build_cache
from settings.cache.model import CacheSettings, RedisSettings
from tests.benchmarks.harness import Bar, Sampler, per_call
from tests.proxy import TcpProxy
from tests.servers import RedisServer, free_port, wait_until

CALLS = 1000
TIMEOUT_SECONDS = 0.2
RETRY_AFTER_SECONDS = 2.0
VALUE = "a value of some forty characters, as many are"


def _ours(app: Flask, url: str, *, timeout: float = 0.5, retry_after: float = 3600) -> ResilientCache:
    redis_settings = RedisSettings.model_validate({"url": url, "timeout": timeout, "connect_timeout": timeout})
    cache = build_cache(redis_settings, CacheSettings(retry_after=retry_after))
    cache.init_app(app)
    return cache


def _flask_caching(app: Flask, **config: object) -> Cache:
    cache = Cache(config={"CACHE_KEY_PREFIX": "peer:", **config})
    cache.init_app(app)
    return cache


@contextlib.contextmanager
def _alive() -> Iterator[tuple[Flask, RedisServer, ResilientCache]]:
    server, app = RedisServer().start(), Flask("bench")
    try:
        with app.app_context(), contextlib.closing(_ours(app, server.url())) as cache:
            yield app, server, cache
    finally:
        server.close()


def _against_raw(operation: Callable[[Any], Callable[[], object]]) -> Callable[[], Any]:
    @contextlib.contextmanager
    def pair() -> Iterator[tuple[Sampler, Sampler]]:
        with _alive() as (_, server, cache), contextlib.closing(redis.from_url(server.url())) as client:
            cache.set("key", VALUE), client.set("key", VALUE)
            yield per_call(operation(cache), number=CALLS), per_call(operation(client), number=CALLS)

    return pair


def _against_flask_caching(operation: Callable[[Any], Callable[[], object]]) -> Callable[[], Any]:
    @contextlib.contextmanager
    def pair() -> Iterator[tuple[Sampler, Sampler]]:
        with _alive() as (app, server, cache):
            peer = _flask_caching(app, CACHE_TYPE="RedisCache", CACHE_REDIS_URL=server.url())
            cache.set("key", VALUE), peer.set("key", VALUE)
            yield per_call(operation(cache), number=CALLS), per_call(operation(peer), number=CALLS)

    return pair


def _get(target: Any) -> Callable[[], object]:  # three clients that share nothing but the names
    return lambda: target.get("key")


def _set(target: Any) -> Callable[[], object]:  # three clients that share nothing but the names
    return lambda: target.set("key", VALUE)


@contextlib.contextmanager
def _open_breaker() -> Iterator[tuple[Sampler, Sampler]]:
    app = Flask("bench")
    url = f"redis://127.0.0.1:{free_port()}/0"
    with app.app_context(), contextlib.closing(_ours(app, url)) as cache:
        peer = _flask_caching(app, CACHE_TYPE="SimpleCache")
        cache.set("key", VALUE), peer.set("key", VALUE)
        assert cache.figures()["mode"] == "fallback"
        yield per_call(_get(cache), number=CALLS * 10), per_call(_get(peer), number=CALLS * 10)


@contextlib.contextmanager
def _silent_server() -> Iterator[tuple[Sampler, Sampler]]:
    app = Flask("bench")
    with TcpProxy(mode="hang") as proxy, app.app_context():
        url = f"redis://127.0.0.1:{proxy.port}/0"

        def hundred_gets() -> float:
            with contextlib.closing(_ours(app, url, timeout=TIMEOUT_SECONDS)) as cache:
                begin = time.perf_counter()
                for _ in range(100):
                    cache.get("key")
                return time.perf_counter() - begin

        def one_time_out() -> float:
            client = redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0))
            begin = time.perf_counter()
            with contextlib.closing(client), contextlib.suppress(redis.TimeoutError):
                client.get("key")
            return time.perf_counter() - begin

        yield hundred_gets, one_time_out


@contextlib.contextmanager
def _return() -> Iterator[tuple[Sampler, Sampler]]:
    with _alive() as (app, server, _), TcpProxy(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with contextlib.closing(_ours(app, url, timeout=0.1, retry_after=RETRY_AFTER_SECONDS)) as cache:

            def from_thaw_to_use() -> float:
                cache.set("key", VALUE)
                proxy.freeze()
                cache.get("key")
                proxy.thaw()
                return wait_until(lambda: cache.figures()["mode"] == "redis")

            yield from_thaw_to_use, lambda: RETRY_AFTER_SECONDS


BARS = [
    Bar("P8.get", "cache.get, Redis alive", "redis-py's get", 1.25, _against_raw(_get)),
    Bar("P8.set", "cache.set, Redis alive", "redis-py's set", 1.40, _against_raw(_set)),
    Bar("P8.get.p", "cache.get, Redis alive", "Flask-Caching's RedisCache", 1.10, _against_flask_caching(_get)),
    Bar("P8.set.p", "cache.set, Redis alive", "Flask-Caching's RedisCache", 1.15, _against_flask_caching(_set)),
    Bar("P9.100", "100 gets, Redis silent", "one time-out", 1.20, _silent_server, samples=5),
    Bar("P9.open", "cache.get, breaker open", "Flask-Caching's SimpleCache", 1.50, _open_breaker),
    Bar("P9.back", "from Redis's return to its use", "one probe interval", 1.05, _return, samples=3),
]
