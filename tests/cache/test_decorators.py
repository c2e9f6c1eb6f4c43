"""The decorators: everything that Flask-Caching documents of them, and a version that is made only once."""

import threading

import pytest
from flask import Flask, abort

from tests.cache.conftest import MakeCache
from tests.cache.test_stampede import Slow, in_threads, join, waits
from tests.servers import RedisServer, wait_until


def test_keys_of_ones_own_making_are_protected(make_cache: MakeCache) -> None:
    """`make_cache_key` of the caller is used, as an argument and when it is set afterwards."""
    app = Flask("keys")
    cache = make_cache(app=app)
    slow = Slow()
    protected = cache.cached(60, make_cache_key=lambda: "mine", stampede_seconds=10)(slow.__call__)
    with app.app_context():
        threads, _ = in_threads(2, protected)
        wait_until(lambda: waits(cache) == 1)
        slow.go_on.set()
        join(threads)
        assert cache.get("mine") == "value 1 for 0"
        late = cache.cached(60)(lambda: "late")
        late.make_cache_key = lambda *_args, **_kwargs: "set later"
        assert late() == "late"
        assert cache.get("set later") == "late"


def test_flask_cachings_own_attributes_are_kept(make_cache: MakeCache) -> None:
    """`uncached`, `cache_timeout`, `make_cache_key` and `delete_memoized` work as documented, and can be written."""
    cache = make_cache()

    @cache.memoize(60, stampede_seconds=1)
    def double(n: int) -> int:
        """Return twice as much."""
        return n * 2

    assert double.uncached(2) == 4
    assert double.cache_timeout == 60
    double.cache_timeout = 5
    assert double(3) == 6
    assert cache.get(double.make_cache_key(double.uncached, 3)) == 6
    double.delete_memoized()
    assert double.__doc__ == "Return twice as much."


def test_an_abort_is_cached_and_raised_for_each(make_cache: MakeCache) -> None:
    """A view that aborts does so for those that wait as well."""
    app = Flask("aborts")
    cache = make_cache(app=app)
    calls: list[int] = []

    @app.get("/")
    @cache.cached(60, stampede_seconds=5)
    def gone() -> str:
        calls.append(1)
        abort(410)

    assert [app.test_client().get("/").status_code for _ in range(3)] == [410] * 3
    assert len(calls) == 1


def test_a_version_is_made_only_once(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """Two processes that call a function for the first time at once find each other's values."""
    caches = [make_cache(redis_server.url()) for _ in range(2)]
    ready = threading.Barrier(8)

    def double(n: int) -> int:
        return n * 2

    memoized = [cache.memoize(60)(double) for cache in caches]

    def key(n: int) -> str:
        ready.wait(10)
        return memoized[n % 2].make_cache_key(double, 1)

    numbers = iter(range(8))
    threads, keys = in_threads(8, lambda: key(next(numbers)))
    join(threads)
    assert len(set(map(str, keys))) == 1
    assert [function(1) for function in memoized] == [2, 2]
    assert caches[1].figures()["hits"] != 0


@pytest.mark.parametrize("kind", ["garbage", "list"])
def test_a_version_that_cannot_be_read_heals(make_cache: MakeCache, redis_server: RedisServer, kind: str) -> None:
    """What lies under the key of a version and is none costs one computation, not one each call for ever."""
    cache, client = make_cache(redis_server.url()), redis_server.client()
    calls: list[int] = []

    @cache.memoize(60)
    def double(n: int) -> int:
        calls.append(n)
        return n * 2

    double(1)
    (key,) = client.keys("*memver*")
    client.delete(key)
    client.set(key, b"!garbage") if kind == "garbage" else client.rpush(key, 1)
    assert [double(1), double(1), double(1)] == [2, 2, 2]
    assert calls == [1, 1]


def test_methods_are_forgotten_by_instance(make_cache: MakeCache) -> None:
    """Each instance has a version of its own; forgetting one leaves the other."""
    cache = make_cache()
    calls: list[str] = []

    class Adder:
        def __init__(self, name: str) -> None:
            self.name = name

        def __repr__(self) -> str:
            return self.name

        @cache.memoize(60)
        def add(self, n: int) -> int:
            calls.append(self.name)
            return n + 1

    one, two = Adder("one"), Adder("two")
    assert [one.add(1), two.add(1), one.add(1), two.add(1)] == [2] * 4
    cache.delete_memoized(one.add)
    assert [one.add(1), two.add(1)] == [2, 2]
    assert calls == ["one", "two", "one"]


def test_arguments_can_be_ignored(make_cache: MakeCache) -> None:
    """`args_to_ignore` works, also for the instance."""
    cache = make_cache()
    calls: list[int] = []

    class Adder:
        @cache.memoize(60, args_to_ignore=["self", "noise"])
        def add(self, n: int, noise: int = 0) -> int:
            calls.append(n)
            return n + noise

    assert [Adder().add(1, 1), Adder().add(1, 2)] == [2, 2]
    assert calls == [1]


def test_a_version_can_be_deleted(make_cache: MakeCache) -> None:
    """`delete_memoized_verhash` forgets all values of a function."""
    cache = make_cache()
    calls: list[int] = []

    @cache.memoize(60)
    def double(n: int) -> int:
        calls.append(n)
        return n * 2

    double(1)
    cache.delete_memoized_verhash(double)
    assert double(1) == 2
    assert calls == [1, 1]


def test_without_a_store_every_call_computes(make_cache: MakeCache) -> None:
    """With NullCache instead of the backend, as in a test, nothing is kept and nothing fails."""
    app = Flask("null")
    cache = make_cache()
    cache.init_app(app, {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    calls: list[int] = []

    @cache.memoize(60, stampede_seconds=1)
    def double(n: int) -> int:
        calls.append(n)
        return n * 2

    with app.app_context():
        assert [double(1), double(1)] == [2, 2]
    assert calls == [1, 1]
