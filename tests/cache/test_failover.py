"""Away and back: what is served, what is purged, and what is said; on a real Redis."""

import logging
import threading
from collections.abc import Callable

import pytest

from settings.cache.recovery import MAX_KEYS
from tests.cache.conftest import MakeCache, is_away, lines, two_lines, wait_for_return
from tests.servers import RedisServer, wait_until

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def test_what_was_deleted_in_an_outage_does_not_come_back(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """A key deleted while a durable Redis was killed is gone after its return, for every process."""
    own_redis.restart(*DURABLE)
    cache, other = make_cache(own_redis.url(), retry_after=0.1), make_cache(own_redis.url(), retry_after=0.1)
    cache.set("deleted", "stale")
    cache.set("written", "stale")
    own_redis.kill()
    cache.delete("deleted")
    cache.set("written", "new")
    assert cache.get("written") == "new"
    own_redis.start(*DURABLE)
    wait_for_return(cache)
    assert other.cache.get_many("deleted", "written") == [None, None]
    assert cache.figures()["purged_keys"] == 2


@pytest.mark.parametrize("operation", ["set", "delete", "inc", "add", "clear", "unlink"])
def test_the_operation_that_met_the_outage_is_purged(
    make_cache: MakeCache, own_redis: RedisServer, operation: str
) -> None:
    """The write that opened the breaker may reach a frozen Redis later; its key is purged all the same."""
    cache = make_cache(own_redis.url(), retry_after=0.1, timeout=0.1)
    own_redis.client().set("app:key", 1)
    own_redis.client().set("app:other", 1)
    own_redis.client().set("other:key", 1)
    cache.get("key")
    with own_redis.frozen():
        run: dict[str, Callable[[], object]] = {
            "set": lambda: cache.set("key", "late"), "delete": lambda: cache.delete("key"),
            "inc": lambda: cache.inc("key"), "add": lambda: cache.add("key", "late"),
            "clear": lambda: cache.clear(), "unlink": lambda: cache.unlink("key"),
        }  # fmt: skip
        run[operation]()
        assert is_away(cache)
    wait_for_return(cache)
    left = {b"other:key"} if operation == "clear" else {b"app:other", b"other:key"}
    assert set(own_redis.client().keys()) == left


def test_a_read_that_meets_the_outage_purges_nothing(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """What was only read in an outage is still in Redis afterwards."""
    cache = make_cache(own_redis.url(), retry_after=0.1, timeout=0.1)
    cache.set("key", "kept")
    with own_redis.frozen():
        assert cache.get("key") is None
    wait_for_return(cache)
    assert cache.get("key") == "kept"


def test_beyond_the_bound_the_whole_prefix_is_purged(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """More keys than can be remembered empty the prefix, and nothing else."""
    cache = make_cache(own_redis.url(), retry_after=0.1, threshold=10)
    own_redis.restart(*DURABLE)
    own_redis.client().mset({"app:stale": 1, "application": 1, "other:key": 1})
    own_redis.kill()
    cache.cache.set_many({str(n): n for n in range(MAX_KEYS + 1)})
    assert cache.figures()["prefix_to_purge"] is True
    own_redis.start(*DURABLE)
    wait_for_return(cache)
    assert set(own_redis.client().keys()) == {b"application", b"other:key"}
    assert cache.figures()["purged_prefixes"] == 1


@pytest.mark.parametrize("prefix", ["a*b:", "[x]:", "q?:", "back\\slash:", "ü:"])
def test_a_prefix_is_taken_literally(make_cache: MakeCache, redis_server: RedisServer, prefix: str) -> None:
    """Characters that mean something to SCAN do not make clear() touch other keys."""
    cache = make_cache(redis_server.url(), key_prefix=prefix)
    redis_server.client().mset({"aXb:": 1, "x:": 1, "qq:": 1, "backslash:": 1, "u:": 1})
    cache.set("key", 1)
    assert cache.clear()
    assert len(redis_server.client().keys()) == 5


def test_one_line_when_it_goes_and_one_when_it_is_back(
    make_cache: MakeCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """However many operations meet an outage, there are two lines; the second has its length and their number."""
    caplog.set_level(logging.INFO)
    cache = make_cache(own_redis.url(), retry_after=0.3)
    cache.set("key", 1)
    own_redis.kill()
    threads = [threading.Thread(target=lambda: [cache.get("key") for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    served = cache.figures()["served_locally"]
    own_redis.start()
    wait_for_return(cache)
    gone, back = two_lines(caplog)
    assert gone.levelno == logging.WARNING
    assert "redis-refused" in gone.getMessage()
    assert back.levelno == logging.INFO
    assert served == 40
    assert "memory served 40 operation(s)" in back.getMessage()
    assert "in use again after 0." in back.getMessage()


def test_threads_through_outages_meet_no_exception(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """Four threads read and write while Redis is killed, started, frozen and thawed; none sees an exception."""
    cache = make_cache(own_redis.url(), retry_after=0.05, timeout=0.1, connect_timeout=0.1)
    stop, errors = threading.Event(), list[Exception]()

    def work(n: int) -> None:
        while not stop.wait(0.001):
            try:
                cache.set(f"{n}", n)
                cache.inc("counter")
                cache.cache.get_many("1", "2", "counter")
                cache.delete(f"{n}")
            except Exception as error:  # noqa: BLE001 # what the test looks for
                errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        own_redis.kill()
        wait_until(lambda: is_away(cache))
        own_redis.start()
        wait_for_return(cache)
        with own_redis.frozen():
            wait_until(lambda: is_away(cache))
        wait_for_return(cache)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_close_purges_when_redis_answers(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """A process that ends before its next probe leaves nothing stale behind when Redis is back."""
    own_redis.restart(*DURABLE)
    cache = make_cache(own_redis.url(), retry_after=1000)
    cache.set("key", "stale")
    own_redis.kill()
    cache.delete("key")
    own_redis.start(*DURABLE)
    cache.close()
    assert own_redis.client().keys() == []


def test_close_says_what_may_be_stale(
    make_cache: MakeCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that ends while Redis is away says how many keys it could not purge."""
    cache = make_cache(own_redis.url(), retry_after=1000)
    own_redis.kill()
    cache.delete("one")
    cache.delete("two")
    cache.close()
    assert "2 key(s) of it may be stale" in lines(caplog)[-1].getMessage()


def test_close_gives_a_purge_a_second(
    make_cache: MakeCache,
    own_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An end does not wait until a large Redis is searched, and says what may be stale."""
    cache = make_cache(own_redis.url(), retry_after=1000)
    with own_redis.frozen():
        cache.clear()
    monkeypatch.setattr("settings.cache.failover.CLOSE_SECONDS", 0.0)  # as if the search had taken longer
    cache.close()
    assert "took longer than 0 s; all keys of it may be stale" in lines(caplog)[-1].getMessage()
