"""The cache as an application has it: in one process, on a real Redis, and through an outage."""

import pytest

from settings.cache.backend import build_cache
from settings.cache.model import CacheSettings, RedisSettings
from settings.probe import HealthStatus
from tests.cache.conftest import MakeCache
from tests.servers import RedisServer, wait_until


def test_without_redis_values_stay_in_the_process(make_cache: MakeCache) -> None:
    """Without REDIS_URL the cache keeps values in its own memory, and says that it is disabled."""
    cache = make_cache()
    assert cache.set("answer", 42)
    assert cache.get("answer") == 42
    assert cache.reading().status is HealthStatus.DISABLED
    assert cache.figures()["mode"] == "in-process"


def test_values_lie_in_redis_under_the_prefix(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """With REDIS_URL a value lies in Redis under CACHE_KEY_PREFIX, with its time-out, for every process."""
    cache, other = (
        make_cache(redis_server.url(), key_prefix="shop:"),
        make_cache(redis_server.url(), key_prefix="shop:"),
    )
    cache.set("answer", {"n": 42}, timeout=100)
    assert redis_server.client().keys() == [b"shop:answer"]
    assert 0 < redis_server.client().ttl("shop:answer") <= 100
    assert other.get("answer") == {"n": 42}
    assert other.reading().status is HealthStatus.HEALTHY


def test_cache_outlives_redis_and_returns_to_it(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """A killed Redis is replaced by the process's memory, and used again when it is back."""
    cache = make_cache(own_redis.url(), retry_after=0.2)
    cache.set("before", 1)
    own_redis.kill()
    assert cache.get("before") is None
    assert cache.set("meanwhile", 2)
    assert cache.get("meanwhile") == 2
    reading = cache.reading()
    assert (reading.status, reading.code, reading.facts["mode"]) == (HealthStatus.FALLBACK, "redis-refused", "fallback")
    own_redis.start()
    wait_until(lambda: cache.reading().status is HealthStatus.HEALTHY, seconds=5)
    assert cache.set("after", 3)
    assert own_redis.client().get("app:after") == b"3"


def test_building_makes_no_connection(redis_server: RedisServer) -> None:
    """Neither building nor closing a cache talks to Redis."""
    before = redis_server.client().info("stats")["total_connections_received"]
    build_cache(RedisSettings(url=redis_server.url()), CacheSettings()).close()
    assert redis_server.client().info("stats")["total_connections_received"] == before + 1


@pytest.mark.parametrize("times", [1, 2])
def test_close_may_be_called_again(make_cache: MakeCache, redis_server: RedisServer, times: int) -> None:
    """Closing once or many times leaves a cache that says it is closed."""
    cache = make_cache(redis_server.url())
    cache.set("answer", 42)
    for _ in range(times):
        cache.close()
    assert cache.reading().detail == "closed"
