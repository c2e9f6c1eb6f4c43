"""REDIS_ and CACHE_: defaults, bounds, and which URLs are refused under which name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from settings.cache.model import CacheSettings, RedisSettings


def refusal(url: str) -> tuple[str, str]:
    """Return code and message of a refused REDIS_URL."""
    with pytest.raises(ValidationError) as caught:
        RedisSettings(url=url)
    [error] = caught.value.errors()
    return error["type"], error["msg"]


def test_defaults_are_the_documented_ones() -> None:
    """Every default is that of the contract."""
    redis, cache = RedisSettings(), CacheSettings()
    assert (redis.url, redis.connect_timeout, redis.timeout, redis.max_connections) == (None, 0.5, 0.5, 50)
    assert (cache.default_timeout, cache.threshold, cache.retry_after) == (300, 10000, 15)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://cache.example.com:6379/0",
        "rediss://app:p%40ss@cache.example.com:6380/1?ssl_cert_reqs=none",
        "REDIS://[::1]:6379/15",
        "redis://:only,password@host:6379/0",
        "unix:///run/redis.sock?db=2",
        "unix://app:secret@/run/redis.sock",
    ],
)
def test_usable_urls_are_kept_as_they_are(url: str) -> None:
    """Redis by TCP, TLS and socket, with ACL users and database numbers, is accepted unchanged."""
    kept = RedisSettings(url=url).url
    assert kept is not None
    assert kept.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("redis+sentinel://h:26379/mymaster/0", "redis-sentinel-url"),
        ("rediss+sentinel://:s3cret@h1:26379,h2:26379/mymaster", "redis-sentinel-url"),
        ("sentinel://:s3cret@h:26379", "redis-sentinel-url"),
        ("redis+cluster://:s3cret@h:6379/0", "redis-cluster-url"),
        ("RedisCluster://h:6379", "redis-cluster-url"),
        ("redis://:s3cret@h1:6379,h2:6379/0", "several-hosts"),
        ("unix://", "missing-path"),
        ("unix://app:s3cret@?db=1", "missing-path"),
        ("http://:s3cret@h", "unknown-scheme"),
        ("localhost:6379", "unknown-scheme"),
        ("redis://", "missing-host"),
        ("redis://h:99999/0", "invalid-port"),
        ("redis://:s3cret/x@h:6379/0", "invalid-port"),
        ("redis://h/zero", "invalid-database"),
        ("redis://h/0#s3cret", "invalid-url"),
    ],
)
def test_unusable_urls_are_refused_by_name(url: str, code: str) -> None:
    """A URL that cannot work is refused under a code of its own, and no part of it is repeated."""
    found, message = refusal(url)
    assert found == code
    assert "s3cret" not in message


@pytest.mark.parametrize("kind", ["Sentinel", "Cluster"])
def test_topologies_are_named(kind: str) -> None:
    """Whoever writes a Sentinel or Cluster URL reads that word, and that it is not supported."""
    _, message = refusal(f"redis+{kind.lower()}://h:6379/0")
    assert f"Redis {kind}, which is not supported" in message


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_kept_or_refused(text: str) -> None:
    """Whatever is written, the model keeps it unchanged or raises its own error."""
    url = f"redis://{text}"
    try:
        kept = RedisSettings(url=url).url
    except ValidationError:
        return
    assert kept is not None
    assert kept.get_secret_value() == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_timeout": -1},
        {"default_timeout": float("nan")},
        {"key_prefix": ""},
        {"threshold": 0},
        {"retry_after": 0},
        {"retry_after": float("inf")},
    ],
)
def test_impossible_numbers_are_refused(wrong: dict[str, object]) -> None:
    """What no cache could do is refused."""
    with pytest.raises(ValidationError):
        CacheSettings.model_validate(wrong)
