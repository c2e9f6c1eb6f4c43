"""What the cache says of itself: mode, since when, counts and latency, and never a secret."""

import datetime as dt

import pytest
from flask import Flask
from pydantic import SecretStr

from settings.cache.backend import build_cache, masked_target
from settings.cache.model import CacheSettings, RedisSettings
from settings.probe import HealthStatus
from settings.problems import SettingsError
from tests.cache.conftest import MakeCache, lines, wait_for_return
from tests.servers import RedisServer


def test_mode_and_status_through_an_outage(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """Unknown before Redis was asked, healthy while it answers, fallback while it does not, disabled when closed."""
    cache = make_cache(own_redis.url(), retry_after=0.1)
    seen = [(cache.reading().status, cache.figures()["mode"])]
    cache.get("key")
    seen.append((cache.reading().status, cache.figures()["mode"]))
    own_redis.kill()
    cache.get("key")
    seen.append((cache.reading().status, cache.figures()["mode"]))
    own_redis.start()
    wait_for_return(cache)
    seen.append((cache.reading().status, cache.figures()["mode"]))
    cache.close()
    seen.append((cache.ping().status, cache.figures()["mode"]))
    assert seen == [
        (HealthStatus.UNKNOWN, "redis"),
        (HealthStatus.HEALTHY, "redis"),
        (HealthStatus.FALLBACK, "fallback"),
        (HealthStatus.HEALTHY, "redis"),
        (HealthStatus.DISABLED, "disabled"),
    ]


def test_since_moves_with_the_mode(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """`since` is when the present mode began, with its time zone."""
    cache = make_cache(own_redis.url(), retry_after=1000)
    built = dt.datetime.fromisoformat(str(cache.figures()["since"]))
    assert built.tzinfo is not None
    own_redis.kill()
    cache.get("key")
    fallen = dt.datetime.fromisoformat(str(cache.figures()["since"]))
    assert built <= fallen <= dt.datetime.now(dt.UTC)
    assert 0 < float(str(cache.figures()["next_probe_seconds"])) <= 1000


def test_a_ping_measures_latency_and_the_pool(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """A ping writes, reads and deletes a key of its own; its latency and the pool are figures."""
    cache = make_cache(redis_server.url(), max_connections=7)
    assert cache.figures()["latency_ms"] is None
    assert cache.ping().status is HealthStatus.HEALTHY
    figures = cache.figures()
    assert isinstance(figures["latency_ms"], float)
    assert (figures["pool_in_use"], figures["pool_size"]) == (0, 7)
    assert redis_server.client().keys() == []


def test_figures_are_the_facts_of_a_reading(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """Health and metrics show the same figures."""
    cache = make_cache(redis_server.url())
    cache.get("key")
    assert set(cache.reading().facts) | {"stampede_waits"} == set(cache.figures())


def test_local_entries_are_counted(make_cache: MakeCache) -> None:
    """The entries in this process can be seen, and stay within CACHE_THRESHOLD."""
    cache = make_cache(threshold=3)
    for n in range(5):
        cache.set(str(n), n)
    assert cache.figures()["local_entries"] == 3


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://app:s3cret@host:6379/0?password=s3cret", "redis://host:6379/0"),
        ("rediss://:s3cret%40x@[::1]:6380/1", "rediss://[::1]:6380/1"),
        ("unix://app:s3cret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_the_target_is_shown_without_user_and_password(url: str, shown: str) -> None:
    """Scheme, host, port and database are shown, and nothing else."""
    assert masked_target(url) == shown


def _beyond_the_check(url: str) -> RedisSettings:
    """Settings with an option that the check of REDIS_URL does not know, as a newer redis-py may refuse one."""
    return RedisSettings.model_construct(url=SecretStr(url))


@pytest.mark.parametrize(
    "query", ["?foo=s3cret", "?socket_timeout=s3cret", "?protocol=7", "?parser_class=x", "?connection_class=x"]
)
def test_an_impossible_option_is_said_and_done_without(caplog: pytest.LogCaptureFixture, query: str) -> None:
    """Not strict: an option that redis-py refuses is one error with its fix, and the cache does without Redis."""
    cache = build_cache(_beyond_the_check(f"redis://:s3cret@127.0.0.1:1/0{query}"), CacheSettings())
    cache.init_app(Flask("shop"))
    assert cache.set("key", 1)
    assert cache.get("key") == 1
    reading = cache.ping()
    assert (reading.status, reading.code) == (HealthStatus.FALLBACK, "redis-url-option")
    assert reading.facts["mode"] == "fallback"
    [line] = lines(caplog)
    assert line.getMessage().startswith("REDIS_URL: ")
    assert "s3cret" not in line.getMessage() + str(reading)


def test_strict_refuses_an_impossible_option() -> None:
    """Strict: the same is a SettingsError that names variable and fix, without the value."""
    redis = _beyond_the_check("redis://:s3cret@host/0?foo=s3cret")
    with pytest.raises(SettingsError, match="REDIS_URL") as caught:
        build_cache(redis, CacheSettings(), strict=True)
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("prefix", [" ", "\t"])
def test_an_empty_prefix_is_refused(prefix: str) -> None:
    """A prefix without a visible character would let clear() delete everybody's keys."""
    with pytest.raises(SettingsError, match="CACHE_KEY_PREFIX"):
        build_cache(RedisSettings(), CacheSettings(key_prefix=prefix))


def test_a_replaced_backend_is_said(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """With NullCache in the place of the backend the cache is disabled, says by what, and asks no Redis."""
    cache = make_cache(redis_server.url())
    before = redis_server.client().info("stats")["total_connections_received"]
    cache.init_app(Flask("null"), {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    reading = cache.ping()
    assert (reading.status, reading.detail) == (HealthStatus.DISABLED, "replaced by NullCache")
    assert cache.figures()["mode"] == "disabled"
    assert redis_server.client().info("stats")["total_connections_received"] == before + 1
