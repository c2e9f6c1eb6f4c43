"""Who asks Redis again, when, and how often: on real servers and silent ones."""

import logging
import threading
import time

import pytest

from settings.cache.backend import ResilientCache
from settings.probe import HealthStatus
from tests.cache.conftest import MakeCache, lines, two_lines, wait_for_return
from tests.proxy import TcpProxy
from tests.servers import RedisServer, wait_until


def read_for(cache: ResilientCache, seconds: float) -> float:
    """Read in four threads for some seconds; return how long the slowest read took."""
    slowest, end = [0.0] * 4, time.monotonic() + seconds

    def read(n: int) -> None:
        while time.monotonic() < end:
            begin = time.monotonic()
            cache.get("key")
            slowest[n] = max(slowest[n], time.monotonic() - begin)
            time.sleep(0.002)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(slowest)


def test_one_probe_an_interval_by_one_caller(make_cache: MakeCache) -> None:
    """Four threads in an outage together ask Redis once per CACHE_RETRY_AFTER."""
    with TcpProxy(mode="close") as closing:
        cache = make_cache(f"redis://127.0.0.1:{closing.port}/0", retry_after=0.3)
        cache.get("key")
        opened = closing.accepted
        read_for(cache, 1.0)
        # A connection that is closed at once is opened a second time.
        assert 2 <= closing.accepted - opened <= 2 * 4


def test_readers_do_not_wait_for_a_probe(make_cache: MakeCache) -> None:
    """While a probe waits for its time-out, reads go on in memory."""
    with TcpProxy(mode="close") as silent:
        cache = make_cache(f"redis://127.0.0.1:{silent.port}/0", retry_after=0.1, timeout=3)
        cache.get("key")
        silent.mode, opened = "hang", silent.accepted
        slowest = read_for(cache, 0.5)
        assert silent.accepted > opened
        assert slowest < 1.5


def test_a_wrong_password_is_asked_about_slowly_and_mended(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """A configuration fault is probed four times less often, and once it is mended Redis is in use."""
    own_redis.client().config_set("requirepass", "secret")
    with TcpProxy(own_redis.port) as proxy:
        cache = make_cache(f"redis://127.0.0.1:{proxy.port}/0", retry_after=0.1)
        cache.set("key", 1)
        assert cache.reading().code == "redis-no-password"
        begin, asked = time.monotonic(), proxy.accepted
        wait_until(lambda: proxy.accepted >= asked + 2, seconds=10)
        assert time.monotonic() - begin >= 0.7
        own_redis.restart()
        wait_for_return(cache)


def test_a_fault_that_turns_out_to_be_a_wrong_password_is_said(
    make_cache: MakeCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis that comes back with another password is named once, as an error."""
    cache = make_cache(own_redis.url(), retry_after=0.05)
    own_redis.kill()
    cache.get("key")
    own_redis.start("--requirepass", "secret")
    wait_until(lambda: cache.reading().code == "redis-no-password", seconds=5)
    gone, wrong = two_lines(caplog)
    assert (gone.levelno, wrong.levelno) == (logging.WARNING, logging.ERROR)
    assert "redis-no-password" in wrong.getMessage()


def test_the_next_mistake_of_a_configuration_is_said(
    make_cache: MakeCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever mends the password reads what is wrong after that, once, however often it is probed."""
    cache = make_cache(f"redis://app:secret@127.0.0.1:{own_redis.port}/0", retry_after=0.05)
    cache.get("key")
    own_redis.client().acl_setuser("app", enabled=True, passwords=["+secret"], keys=["other:*"], commands=["+@all"])
    wait_until(lambda: cache.reading().code == "redis-no-permission", seconds=5)
    wait_for_probes(cache, 2)
    assert [line.levelname for line in two_lines(caplog)] == ["ERROR", "ERROR"]
    assert "redis-wrong-password" in lines(caplog)[0].getMessage()
    assert "redis-no-permission" in lines(caplog)[1].getMessage()


def test_a_restarted_redis_is_no_outage(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """Pooled connections that were closed meanwhile are replaced without a word."""
    cache = make_cache(own_redis.url(), retry_after=1000)
    threads = [threading.Thread(target=cache.get, args=("key",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own_redis.restart()
    cache.set("key", 1)
    own_redis.client().client_kill_filter(_type="normal", skipme=True)
    assert cache.get("key") == 1
    assert cache.figures()["outages"] == 0


@pytest.mark.parametrize(("operation", "outages"), [("get", 0), ("set", 0), ("delete", 0), ("inc", 1), ("add", 1)])
def test_one_retry_on_a_connection_found_closed(
    make_cache: MakeCache, redis_server: RedisServer, proxy: TcpProxy, operation: str, outages: int
) -> None:
    """A connection that is closed under a command is replaced once, where running it twice does no harm."""
    proxy.target = redis_server.port
    cache = make_cache(f"redis://127.0.0.1:{proxy.port}/0", timeout=2, retry_after=1000)
    cache.set("key", 1)
    proxy.freeze()
    before = proxy.received
    arguments = ("key",) if operation in ("get", "delete") else ("key", 2)
    thread = threading.Thread(target=getattr(cache, operation), args=arguments)
    thread.start()
    wait_until(lambda: proxy.received > before)
    proxy.cut()
    proxy.thaw()
    thread.join()
    assert cache.figures()["outages"] == outages


def test_nothing_is_tried_again_after_a_time_out(make_cache: MakeCache) -> None:
    """A silent Redis costs one time-out in all, not one a call and not two."""
    with TcpProxy(mode="hang") as silent:
        cache = make_cache(f"redis://127.0.0.1:{silent.port}/0", timeout=0.6, connect_timeout=0.6)
        begin = time.monotonic()
        for _ in range(100):
            assert cache.get("key") is None
        assert time.monotonic() - begin < 2 * 0.6 - 0.1
        assert silent.accepted == 1


def test_boot_without_redis_falls_back_at_once(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """A cache that finds no Redis when it is pinged serves from memory, and returns by itself."""
    own_redis.kill()
    cache = make_cache(own_redis.url(), retry_after=0.1)
    assert cache.ping().status is HealthStatus.FALLBACK
    own_redis.start()
    wait_for_return(cache)
    assert cache.ping().status is HealthStatus.HEALTHY


def wait_for_probes(cache: ResilientCache, count: int) -> None:
    """Wait until Redis was asked again some times."""
    for _ in range(count):
        wait_until(lambda: float(str(cache.figures()["next_probe_seconds"])) < 0.05, seconds=5)
        wait_until(lambda: float(str(cache.figures()["next_probe_seconds"])) > 0.05, seconds=5)


def test_a_full_redis_is_not_returned_to_before_it_takes_writes(
    make_cache: MakeCache, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads and deletes work at maxmemory, so a probe writes: no going to and fro, and back when there is room."""
    caplog.set_level(logging.INFO)
    cache = make_cache(own_redis.url(), retry_after=0.1)
    own_redis.client().config_set("maxmemory", 1)
    cache.set("key", 1)
    wait_for_probes(cache, 3)
    assert cache.reading().code == "redis-out-of-memory"
    assert len(lines(caplog)) == 1
    own_redis.client().config_set("maxmemory", 0)
    wait_for_return(cache)
    assert len(two_lines(caplog)) == 2


def test_a_failover_by_name_or_proxy_is_followed(
    make_cache: MakeCache, own_redis: RedisServer, redis_server: RedisServer, proxy: TcpProxy
) -> None:
    """Where the old primary goes on as a replica, a probe asks the new one: no connection of before is used again."""
    proxy.target = own_redis.port
    cache = make_cache(f"redis://127.0.0.1:{proxy.port}/0", retry_after=0.1)
    cache.set("key", 1)
    own_redis.client().replicaof("127.0.0.1", redis_server.port)
    proxy.target = redis_server.port
    cache.set("key", 2)
    assert cache.reading().code == "redis-read-only"
    wait_for_return(cache)
    assert cache.set("key", 3)
    assert cache.figures()["outages"] == 1
    assert redis_server.client().exists("app:key")


def test_a_missing_right_is_probed_with_the_command_that_met_it(make_cache: MakeCache, own_redis: RedisServer) -> None:
    """A user who may do all but count stays away after a count until it may, instead of going to and fro."""
    admin = own_redis.client()
    admin.acl_setuser("app", enabled=True, passwords=["+secret"], keys=["app:*"], commands=["+@all", "-incrby"])
    cache = make_cache(f"redis://app:secret@127.0.0.1:{own_redis.port}/0", retry_after=0.05)
    assert cache.set("key", 1)
    assert cache.inc("count") == 1
    wait_for_probes(cache, 2)
    assert (cache.reading().code, cache.figures()["outages"]) == ("redis-no-permission", 1)
    admin.acl_setuser("app", enabled=True, commands=["+incrby"])
    wait_for_return(cache)
    assert cache.inc("count") == 1


def test_in_an_outage_nothing_is_served_longer_than_the_default(make_cache: MakeCache) -> None:
    """CACHE_DEFAULT_TIMEOUT bounds what this process may serve although another one has deleted it."""
    with TcpProxy(mode="close") as closing:
        cache = make_cache(f"redis://127.0.0.1:{closing.port}/0", default_timeout=0.2)
        cache.set("key", 1, timeout=1000)
        assert cache.get("key") == 1
        wait_until(lambda: cache.get("key") is None, seconds=5)
