"""One computes, the others wait: within a process, with a bound, and never for ever."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from settings.cache.backend import ResilientCache
from settings.cache.stampede import Stampede
from tests.cache.conftest import MakeCache
from tests.servers import RedisServer, wait_until


class Slow:
    """A computation that waits until the test lets it go on, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.go_on = threading.Event()

    def __call__(self, n: int = 0) -> str:
        """Return a value of its own for each call."""
        self.calls += 1
        number = self.calls
        self.go_on.wait(10)
        return f"value {number} for {n}"


def in_threads(count: int, function: Callable[[], object]) -> tuple[list[threading.Thread], list[object]]:
    """Start threads that call a function; return them and the list of what they return."""
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def join(threads: list[threading.Thread]) -> None:
    """Wait for threads to end."""
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def waits(cache: ResilientCache) -> object:
    """Return how many calls waited for another one."""
    return cache.figures()["stampede_waits"]


@pytest.mark.parametrize("place", ["in process", "redis"])
def test_one_computes_and_the_others_wait(make_cache: MakeCache, redis_server: RedisServer, place: str) -> None:
    """Of eight calls for the same missing value one computes it, and all get it."""
    cache = make_cache(redis_server.url() if place == "redis" else None)
    slow = Slow()
    protected = cache.memoize(60, stampede_seconds=10)(slow.__call__)
    threads, results = in_threads(8, lambda: protected(1))
    wait_until(lambda: waits(cache) == 7)
    slow.go_on.set()
    join(threads)
    assert results == ["value 1 for 1"] * 8
    assert slow.calls == 1


def test_views_are_protected(make_cache: MakeCache) -> None:
    """Requests for one page that is not cached yet run its view once, requests for another page run theirs."""
    app = Flask("views")
    cache = make_cache(app=app)
    slow = Slow()
    app.add_url_rule("/<int:n>", view_func=cache.cached(60, stampede_seconds=10)(slow.__call__), endpoint="page")
    threads, results = in_threads(4, lambda: app.test_client().get("/1").text)
    wait_until(lambda: waits(cache) == 3)
    others, other_results = in_threads(1, lambda: app.test_client().get("/2").text)
    wait_until(lambda: slow.calls == 2)
    slow.go_on.set()
    join(threads + others)
    assert len(set(map(str, results))) == 1
    assert other_results == ["value 2 for 2"]
    assert slow.calls == 2


def test_off_unless_asked_for(make_cache: MakeCache) -> None:
    """Without the option every call computes, as in Flask-Caching."""
    cache = make_cache()
    slow = Slow()
    unprotected = cache.memoize(60)(slow.__call__)
    threads, _ = in_threads(3, lambda: unprotected(1))
    wait_until(lambda: slow.calls == 3)
    slow.go_on.set()
    join(threads)
    assert waits(cache) == 0


def test_one_option_for_all_functions(make_cache: MakeCache) -> None:
    """The attribute of the cache protects every function, but for those that say otherwise."""
    cache = make_cache()
    cache.stampede_seconds = 10
    slow, free = Slow(), Slow()
    protected, unprotected = cache.memoize(60)(slow.__call__), cache.memoize(60, stampede_seconds=0)(free.__call__)
    threads, _ = in_threads(3, lambda: (protected(1), unprotected(2)))
    wait_until(lambda: waits(cache) == 2)
    slow.go_on.set()
    wait_until(lambda: free.calls == 3)
    free.go_on.set()
    join(threads)
    assert slow.calls == 1


def test_nobody_waits_longer_than_the_bound(make_cache: MakeCache) -> None:
    """A call that has waited its time computes for itself."""
    cache = make_cache()
    slow = Slow()
    protected = cache.memoize(60, stampede_seconds=0.1)(slow.__call__)
    threads, _ = in_threads(2, lambda: protected(1))
    wait_until(lambda: slow.calls == 2)
    slow.go_on.set()
    join(threads)


def test_a_leader_that_fails_makes_way(make_cache: MakeCache) -> None:
    """When the computing call raises, those that wait compute, and the error stays the leader's own."""
    cache = make_cache()
    calls: list[int] = []
    entered, fail = threading.Event(), threading.Event()

    @cache.memoize(60, stampede_seconds=10)
    def first_fails() -> str:
        calls.append(1)
        if len(calls) == 1:
            entered.set()
            fail.wait(10)
            raise LookupError("the leader's own")
        return "value"

    errors: list[Exception] = []

    def lead() -> None:
        try:
            first_fails()
        except LookupError as error:
            errors.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    entered.wait(10)
    threads, results = in_threads(3, first_fails)
    wait_until(lambda: waits(cache) == 3)
    fail.set()
    join([leader, *threads])
    assert results == ["value"] * 3
    assert len(errors) == 1
    assert 2 <= len(calls) <= 4  # one that wakes late finds the value of one that was quick


@pytest.mark.parametrize("kept_out", ["nothing", "filtered", "failed"])
def test_nobody_waits_twice_for_what_is_not_kept(make_cache: MakeCache, kept_out: str) -> None:
    """When the call that was waited for leaves no value, those that waited compute side by side, not in a row."""
    cache = make_cache()
    entered, land, together = threading.Event(), threading.Event(), threading.Barrier(3)
    options: dict[str, Any] = {"response_filter": lambda _: False} if kept_out == "filtered" else {}

    @cache.memoize(60, stampede_seconds=10, **options)
    def not_kept() -> str | None:
        if not entered.is_set():
            entered.set()
            land.wait(10)
        else:
            together.wait(5)  # breaks where they come one after the other
        if kept_out == "failed":
            raise LookupError("each its own")
        return None if kept_out == "nothing" else "value"

    def call() -> object:
        try:
            return not_kept()
        except LookupError as error:
            return str(error)

    leader, first = in_threads(1, call)
    entered.wait(10)
    threads, results = in_threads(3, call)
    wait_until(lambda: waits(cache) == 3)
    land.set()
    join([*leader, *threads])
    expected = {"nothing": None, "filtered": "value", "failed": "each its own"}[kept_out]
    assert first + results == [expected] * 4


def test_a_value_that_is_not_kept_is_computed_by_each(make_cache: MakeCache) -> None:
    """What a response filter keeps out of the cache is never handed from one call to another."""
    cache = make_cache()
    counter = iter(range(10))
    protected = cache.memoize(60, stampede_seconds=10, response_filter=lambda _: False)(lambda: next(counter))
    threads, results = in_threads(4, protected)
    join(threads)
    assert sorted(map(str, results)) == ["0", "1", "2", "3"]


def test_a_call_within_itself_does_not_wait(make_cache: MakeCache) -> None:
    """A function that calls itself for the same or another value goes on at once."""
    cache = make_cache()
    depth: list[int] = []

    @cache.memoize(60, stampede_seconds=30)
    def recursive(n: int) -> int:
        depth.append(n)
        return 0 if len(depth) > 3 else recursive(n) + recursive(n + 1)

    begin = time.monotonic()
    recursive(0)
    assert time.monotonic() - begin < 15
    assert waits(cache) == 0


def test_a_child_forked_within_a_call_waits_for_nobody(make_cache: MakeCache) -> None:
    """What the parent computes is forgotten in the child, and the call that forked ends well."""
    cache = make_cache()

    @cache.memoize(60, stampede_seconds=10)
    def forks() -> str:
        cache.before_fork()
        cache.after_fork_in_child()
        return "value"

    assert forks() == "value"
    assert forks() == "value"
    assert waits(cache) == 0


def test_who_comes_just_after_the_leader_finds_its_value() -> None:
    """Between the first look and the turn to compute another call may have finished: the value is looked for again."""
    stampede = Stampede()
    with stampede.turn(5) as turn:
        assert stampede.wait(turn, "key", lambda: "there by now") == "there by now"
        assert turn.leading == "key"
    assert stampede.waited == 0
