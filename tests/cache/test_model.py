"""REDIS_ and CACHE_: defaults, bounds, and which URLs are refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from settings.cache.model import CacheSettings, RedisSettings


def refusal(url: str) -> str:
    """Return the message of a refused REDIS_URL."""
    with pytest.raises(ValidationError) as caught:
        RedisSettings.model_validate({"url": url})
    [error] = caught.value.errors()
    return error["msg"]


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
    kept = RedisSettings.model_validate({"url": url}).url
    assert kept is not None
    assert kept.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@h1:6379,h2:6379/0",
        "unix://",
        "unix://app:s3cret@?db=1",
        "http://:s3cret@h",
        "localhost:6379",
        "redis://",
        "redis://h:99999/0",
        "redis://:s3cret/x@h:6379/0",
        "redis://h/zero",
        "redis://h/0#s3cret",
    ],
)
def test_unusable_urls_are_refused(url: str) -> None:
    """A URL that cannot work is refused, and no secret part of it is repeated."""
    assert "s3cret" not in refusal(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis+sentinel://h:26379/mymaster/0", "Redis Sentinel"),
        ("rediss+sentinel://:s3cret@h1:26379,h2:26379/mymaster", "Redis Sentinel"),
        ("sentinel://:s3cret@h:26379", "Redis Sentinel"),
        ("redis+cluster://:s3cret@h:6379/0", "Redis Cluster"),
        ("rediss+cluster://h:6379", "Redis Cluster"),
    ],
)
def test_topologies_are_refused_by_name(url: str, name: str) -> None:
    """Whoever writes a Sentinel or Cluster URL reads that word, and that it is not supported."""
    message = refusal(url)
    assert name in message
    assert "not supported" in message
    assert "s3cret" not in message


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_kept_or_refused(text: str) -> None:
    """Whatever is written, the model keeps it unchanged or raises its own error."""
    url = f"redis://{text}"
    try:
        kept = RedisSettings.model_validate({"url": url}).url
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
