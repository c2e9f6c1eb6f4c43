"""Every operation of Flask-Caching: in process, on Redis and while Redis is away it does the same."""

import datetime as dt
import logging
import pickle
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from cachelib.serializers import JSONSerializer
from flask import Flask, render_template_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings.cache.backend import ResilientCache
from settings.cache.operations import LONGEST_SECONDS, ResilientBackend
from tests.cache.conftest import MakeCache
from tests.servers import RedisServer, free_port

PLACES = ["in process", "redis", "away"]


def url_of(place: str, server: RedisServer) -> str | None:
    """Return the REDIS_URL with which a cache is in this place."""
    return {"in process": None, "redis": server.url(), "away": f"redis://127.0.0.1:{free_port()}/0"}[place]


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application whose context is pushed."""
    app = Flask("operations")
    app.debug = True  # so that Flask-Caching raises what it would log
    with app.test_request_context("/page?b=2&a=1"):
        yield app


@pytest.fixture(params=PLACES)
def cache(
    request: pytest.FixtureRequest, make_cache: MakeCache, redis_server: RedisServer, app: Flask
) -> Iterator[ResilientCache]:
    """A cache in each of the three places, which it must not have left at the end."""
    cache = make_cache(url_of(request.param, redis_server), app=app)
    yield cache
    cache.get("key")
    assert cache.figures()["mode"] == {"in process": "in-process", "redis": "redis", "away": "fallback"}[request.param]


def test_set_get_has_delete(cache: ResilientCache) -> None:
    """A value that was set is there until it is deleted."""
    assert cache.get("key") is None
    assert not cache.has("key")
    assert cache.set("key", {"a": [1, None]})
    assert cache.get("key") == {"a": [1, None]}
    assert cache.has("key")
    assert cache.delete("key")
    assert not cache.delete("key")
    assert cache.get("key") is None


def test_many_at_once(cache: ResilientCache) -> None:
    """Values come in the order of their keys, missing ones as None."""
    assert cache.set_many({"a": 1, "b": "two"}) == ["a", "b"]
    assert cache.get_many("b", "none", "a") == ["two", None, 1]
    assert cache.get_dict("a", "none") == {"a": 1, "none": None}
    assert cache.delete_many("a", "none") == ["a", "none"]
    assert cache.unlink("b") == ["b"]
    assert cache.get_many("a", "b") == [None, None]


def test_nothing_at_once(cache: ResilientCache) -> None:
    """No keys at all are no mistake."""
    assert cache.get_many() == cache.set_many({}) == cache.delete_many() == cache.unlink() == []


def test_add_keeps_the_first(cache: ResilientCache) -> None:
    """Only the first of two adds is kept."""
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    assert cache.get("key") == 1


def test_counting(cache: ResilientCache) -> None:
    """Numbers go up and down, from 0 when there is none."""
    assert cache.inc("n") == 1
    assert cache.inc("n", 5) == 6
    assert cache.dec("n", 2) == 4
    assert cache.dec("fresh") == -1
    assert cache.get("n") == 4


def test_counting_what_is_no_number(cache: ResilientCache, caplog: pytest.LogCaptureFixture) -> None:
    """Adding to a value that is no number returns None, says so, and leaves the value."""
    cache.set("key", "words")
    assert cache.inc("key") is None
    assert cache.get("key") == "words"
    assert "'app:key'" in caplog.text
    assert cache.figures()["unusable_values"] == 1


@pytest.mark.parametrize("delta", [1.5, 2.0, None, "1", Decimal(1), float("nan")])
def test_adding_what_is_no_whole_number(cache: ResilientCache, delta: Any) -> None:
    """It is the caller's mistake, wherever it would have gone: the number stays, and so does the place."""
    cache.inc("key", 5)
    for operation in (cache.inc, cache.dec):
        with pytest.raises(TypeError):
            operation("key", delta)
    assert cache.inc("key", True) == 6
    assert cache.dec("key", True) == 5


@pytest.mark.parametrize("delta", [2**63 - 1, 2**63, -(2**63) - 1, pytest.param(10**5000, id="huge")])
def test_adding_too_much(cache: ResilientCache, delta: int) -> None:
    """A sum that does not fit is None, and the number stays."""
    cache.set("key", 5 if delta > 0 else -5)
    assert cache.inc("key", delta) is None
    assert cache.dec("key", -delta) is None
    assert abs(cache.get("key")) == 5
    assert cache.figures()["unusable_values"] == 2


def test_what_redis_py_cannot_write_down_is_the_caller_s(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """A serializer of one's own may return what goes nowhere: it raises, and Redis stays in use."""
    cache = make_cache(redis_server.url())
    cache._backend.serializer = SimpleNamespace(dumps=lambda value: value)  # type: ignore[assignment] # as intended
    for values in ({"a": [1]}, {"a": [1], "b": [2]}):
        with pytest.raises(redis.DataError):
            cache.set_many(values)
    assert cache.figures()["mode"] == "redis"


def test_clear_leaves_others_alone(cache: ResilientCache, redis_server: RedisServer) -> None:
    """Clearing deletes every key of the prefix and no other."""
    redis_server.client().set("other:key", 1)
    cache.set_many({str(n): n for n in range(2500)})
    assert cache.clear()
    assert cache.get_many("0", "2499") == [None, None]
    assert redis_server.client().keys() == [b"other:key"]


@pytest.mark.parametrize("timeout", [0, 60, 0.5, dt.timedelta(minutes=1), 10**20, None])
def test_time_outs_of_every_kind(cache: ResilientCache, timeout: object) -> None:
    """Seconds, fractions, a timedelta, for ever and absurdly long: the value is there."""
    assert cache.set("key", 1, timeout=timeout)
    assert cache.add("added", 1, timeout=timeout)
    assert cache.get_many("key", "added") == [1, 1]


def test_a_time_out_in_the_past_deletes(cache: ResilientCache) -> None:
    """What is set to have ended already is not there, nor what was there before."""
    cache.set("key", "old")
    assert cache.set("key", "new", timeout=-1)
    assert cache.get("key") is None
    assert not cache.add("key", "new", timeout=-1)


def test_a_value_that_cannot_be_pickled_is_the_callers_mistake(cache: ResilientCache) -> None:
    """It raises wherever the value would have gone, and is no outage."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        cache.set("key", lambda: None)
    assert cache.figures().get("failed_operations", 0) == cache.figures().get("outages", 0)


def test_hits_and_misses_are_counted(cache: ResilientCache) -> None:
    """Every value asked for is a hit or a miss."""
    cache.set("key", 1)
    cache.get("key")
    cache.get_many("key", "none")
    figures = cache.figures()
    assert (figures["hits"], figures["misses"]) == (2, 1)


def test_cached_view(cache: ResilientCache) -> None:
    """A view under `cached` runs once, until its key is deleted."""
    calls: list[int] = []

    @cache.cached(timeout=60, query_string=True)
    def view() -> str:
        calls.append(1)
        return f"page {len(calls)}"

    assert [view(), view()] == ["page 1", "page 1"]
    assert cache.delete_cached(view, path="/page", query_args="a=1&b=2")
    assert view() == "page 2"


def test_memoize_and_delete_memoized(cache: ResilientCache) -> None:
    """A function under `memoize` runs once for each argument, until it is forgotten, whole or for one argument."""
    calls: list[int] = []

    @cache.memoize(60)
    def double(n: int) -> int:
        calls.append(n)
        return n * 2

    assert [double(2), double(2), double(3)] == [4, 4, 6]
    cache.delete_memoized(double, 2)
    assert [double(2), double(3)] == [4, 6]
    assert calls == [2, 3, 2]
    cache.delete_memoized(double)
    assert double(3) == 6
    assert calls == [2, 3, 2, 3]


def test_template_fragments(cache: ResilientCache) -> None:
    """A fragment is rendered once, until it is deleted."""
    source = "{% cache 60, 'part' %}{{ numbers.pop() }}{% endcache %}"
    numbers = [2, 1]
    assert [render_template_string(source, numbers=numbers) for _ in range(2)] == ["1", "1"]
    render_template_string("{% cache 'del', 'part' %}{% endcache %}")
    assert render_template_string(source, numbers=numbers) == "2"


@given(
    st.text(min_size=1, max_size=30),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), st.lists),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_any_value_comes_back_from_any_key(cache: ResilientCache, key: str, value: object) -> None:
    """What comes out of the cache is what went in, of the same type, in any place."""
    cache.set(key, value)
    found = cache.get(key)
    assert found == value
    assert type(found) is type(value)


def test_another_serializer_is_used(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """CACHE_SERIALIZER of the application decides how values are written; what it cannot write is not kept."""
    app = Flask("json")
    app.config["CACHE_SERIALIZER"] = JSONSerializer()
    cache = make_cache(redis_server.url(), app=app)
    assert cache.set("key", {"a": 1})
    assert redis_server.client().get("app:key") == b'{"a": 1}'
    assert not cache.set("bytes", b"x")
    assert not cache.add("bytes", b"x")
    assert cache.get("key") == {"a": 1}


@pytest.mark.parametrize(
    "raw", [b"!\x80\x04\x95garbage", b"!", b"!" + pickle.dumps(SimpleNamespace)[:-3], b"!cno_such_module\nThing\n."]
)
def test_what_cannot_be_unpickled_is_a_miss(
    make_cache: MakeCache, redis_server: RedisServer, caplog: pytest.LogCaptureFixture, raw: bytes
) -> None:
    """A pickle that is broken or of a class that is gone is a miss, counted and said, and healed by the next set."""
    cache = make_cache(redis_server.url())
    redis_server.client().set("app:key", raw)
    assert cache.get("key") is None
    assert cache.get_many("key") == [None]
    assert (cache.figures()["unusable_values"], cache.figures()["outages"]) == (2, 0)
    assert caplog.records[0].levelno == logging.WARNING
    assert "'app:key'" in caplog.text
    cache.set("key", "healed")
    assert cache.get("key") == "healed"


def test_another_type_under_our_key_is_a_miss(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """A list under our key is a miss for reads, no number for counts, overwritten by a set; and no outage."""
    cache = make_cache(redis_server.url())
    redis_server.client().rpush("app:key", "a", "b")
    assert cache.get("key") is None
    assert cache.get_many("key") == [None]
    assert cache.has("key")
    assert cache.inc("key") is None
    assert not cache.add("key", 1)
    assert cache.set("key", 1)
    assert cache.get("key") == 1
    assert cache.figures()["outages"] == 0


def test_a_flushed_redis_is_a_miss(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """Keys that somebody else deleted are misses, and no outage."""
    cache = make_cache(redis_server.url())
    cache.set("key", 1)
    redis_server.client().flushall()
    assert cache.get("key") is None
    assert cache.figures()["outages"] == 0


def test_time_outs_reach_redis(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """Redis is told whole seconds, rounded up; 0 is for ever, and what is too long is cut."""
    cache = make_cache(redis_server.url(), default_timeout=90)
    cache.set("default", 1)
    cache.set("fraction", 1, timeout=0.2)
    cache.set("ever", 1, timeout=0)
    cache.set("long", 1, timeout=10**20)
    ttl = {name: redis_server.client().ttl(f"app:{name}") for name in ("default", "fraction", "ever", "long")}
    assert ttl == {"default": 90, "fraction": 1, "ever": -1, "long": LONGEST_SECONDS}


def test_writes_that_reached_only_this_process_are_counted(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """Each write or delete in an outage is counted, and the keys that wait for their purge can be seen."""
    cache = make_cache(url_of("away", redis_server))
    cache.set("a", 1)
    cache.delete("b")
    cache.inc("a")
    figures = cache.figures()
    assert (figures["local_writes"], figures["keys_to_purge"]) == (3, 2)


def test_the_backend_is_not_made_by_its_name_alone() -> None:
    """CACHE_TYPE alone cannot make this backend, and says what does."""
    with pytest.raises(TypeError, match="build_cache"):
        ResilientBackend.factory(Flask("alone"), {}, [], {})
