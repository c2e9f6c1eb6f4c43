"""The client of Redis: its time-outs, its pool, and what it never does."""

import re
import socket
import threading

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings.cache.client import RedisStore, connect, found_closed, glob_escape
from settings.cache.model import RedisSettings
from settings.cache.recovery import Purge
from settings.cache.store import UnusableValue
from tests.cache import broken_redis
from tests.cache.conftest import MakeCache
from tests.cache.fickle_redis import Fickle
from tests.proxy import TcpProxy
from tests.servers import RedisServer, wait_until


def options_of(url: str, **options: object) -> dict[str, object]:
    """Return what a connection of REDIS_URL would be made with."""
    return dict(connect(RedisSettings.model_validate({"url": url, **options})).connection_pool.connection_kwargs)


def test_time_outs_are_those_of_the_variables() -> None:
    """REDIS_ variables win over the URL's query, and nothing is ever retried by redis-py."""
    url = "redis://host:6380/2?socket_timeout=99&retry_on_timeout=yes&max_connections=3&client_name=web"
    found = options_of(url, connect_timeout=0.25, timeout=0.75)
    assert (found["socket_connect_timeout"], found["socket_timeout"]) == (0.25, 0.75)
    assert (found["host"], found["port"], found["db"], found["client_name"]) == ("host", 6380, 2, "web")
    assert found["retry"].get_retries() == 0  # type: ignore[attr-defined] # redis-py's Retry


def test_the_older_protocol_is_spoken_unless_the_url_says_otherwise() -> None:
    """With the newer one a server's notices could stretch the time-outs."""
    assert options_of("redis://host")["protocol"] == 2
    assert options_of("redis://host?protocol=3")["protocol"] in (3, "3")


def test_no_closed_connection_is_met_twice(make_cache: MakeCache) -> None:
    """When many pooled connections died unseen, the one retry is made on a new connection."""
    with Fickle() as server:
        cache = make_cache(f"redis://127.0.0.1:{server.port}/0")
        server.hold()
        threads = [threading.Thread(target=cache.get, args=("key",)) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.waiting == 3)
        server.go_on()
        for thread in threads:
            thread.join()
        server.doom()
        assert cache.get("key") is None
        assert cache.figures()["outages"] == 0


def test_the_pool_is_bounded(redis_server: RedisServer) -> None:
    """REDIS_MAX_CONNECTIONS bounds the pool, and a thread waits no longer than REDIS_TIMEOUT for a place."""
    client = connect(RedisSettings.model_validate({"url": redis_server.url(), "max_connections": 2, "timeout": 0.05}))
    taken = [client.connection_pool.get_connection() for _ in range(2)]
    with pytest.raises(redis.ConnectionError, match="No connection available"):
        client.get("key")
    for connection in taken:
        client.connection_pool.release(connection)
    assert client.get("key") is None
    client.close()


def test_a_closed_store_holds_no_connection(redis_server: RedisServer) -> None:
    """After `close()` Redis counts no connection of ours."""
    client = redis_server.client()
    store = RedisStore(lambda: connect(RedisSettings.model_validate({"url": redis_server.url()})), prefix="app:")
    before = len(client.client_list())
    store.get("app:key")
    assert len(client.client_list()) == before + 1
    store.close()
    wait_until(lambda: len(client.client_list()) == before, seconds=5)


def test_the_kernel_delivers_nothing_late() -> None:
    """TCP gives up a command when its time-out has passed; a socket in the file system needs no such option."""
    found = options_of("redis://host", timeout=0.5, connect_timeout=2)
    assert found["socket_keepalive_options"] == {socket.TCP_USER_TIMEOUT: 2000}
    assert "socket_keepalive_options" not in options_of("unix:///run/redis.sock")


def test_a_missing_url_is_a_mistake() -> None:
    """There is no client without REDIS_URL, not even one of localhost."""
    with pytest.raises(ValueError, match="REDIS_URL is not set"):
        connect(RedisSettings())


@given(st.text(max_size=20))
def test_an_escaped_pattern_matches_itself_only(text: str) -> None:
    """No character that SCAN gives a meaning to is left unescaped."""
    characters = iter(glob_escape(text))
    assert "".join(next(characters) if each == "\\" else each for each in characters) == text
    assert not re.search(r"(?<!\\)(\\\\)*[*?\[\]]", glob_escape(text))


@given(st.text(st.sampled_from("*?[]^-\\ab"), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_an_escaped_prefix_finds_its_own_keys(redis_server: RedisServer, prefix: str) -> None:
    """On a real server the keys of any prefix are cleared, and those of another are not."""
    client = redis_server.client()
    store = RedisStore(redis_server.client, prefix=prefix)
    client.flushall()
    client.mset({f"{prefix}1": 1, f"{prefix}2": 1, "zz": 1})
    store.clear()
    assert client.keys() == [b"zz"]
    client.close()
    store.close()


def test_purge_deletes_keys_and_nothing_else(redis_server: RedisServer) -> None:
    """A purge of keys deletes these, a purge of everything the prefix."""
    client = redis_server.client()
    store = RedisStore(redis_server.client, prefix="app:")
    client.mset({f"app:{n}": 1 for n in range(2500)} | {"other": 1})
    store.purge(Purge(tuple(f"app:{n}" for n in range(2400))))
    assert client.dbsize() == 101
    store.purge(Purge(everything=True))
    assert client.keys() == [b"other"]
    store.close()


@pytest.mark.parametrize("operation", ["get", "inc"])
def test_a_value_of_another_kind_names_its_key(redis_server: RedisServer, operation: str) -> None:
    """What is no string, or no number, is told from a fault of Redis, with its key."""
    redis_server.client().rpush("app:list", 1)
    store = RedisStore(redis_server.client, prefix="app:")
    with pytest.raises(UnusableValue) as caught:
        store.get("app:list") if operation == "get" else store.inc("app:list", 1)
    assert caught.value.key == "app:list"
    assert "WRONGTYPE" in caught.value.reason
    store.close()


def test_a_value_of_another_kind_is_told_by_a_second_try_too(redis_server: RedisServer, proxy: TcpProxy) -> None:
    """It is no fault of Redis either when the pooled connection was found closed before."""
    redis_server.client().rpush("app:list", 1)
    proxy.target = redis_server.port
    of_redis = RedisSettings.model_validate({"url": f"redis://127.0.0.1:{proxy.port}/0", "timeout": 5})
    store, caught = RedisStore(lambda: connect(of_redis), prefix="app:"), list[BaseException]()
    store.get("app:key")
    proxy.freeze()
    before = proxy.received

    def get() -> None:
        try:
            store.get("app:list")
        except Exception as error:  # noqa: BLE001 # which one, is what the test is about
            caught.append(error)

    thread = threading.Thread(target=get)
    thread.start()
    wait_until(lambda: proxy.received > before)
    proxy.cut()
    proxy.thaw()
    thread.join()
    assert [type(each) for each in caught] == [UnusableValue]
    store.close()


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (redis.ConnectionError("Connection closed by server."), True),
        (redis.ConnectionError("Error while reading from 127.0.0.1:6379 : (104, 'Connection reset by peer')"), True),
        (redis.ConnectionError("Error 32 while writing to socket. Broken pipe."), True),
        (redis.ConnectionError("Error 111 connecting to 127.0.0.1:6999. Connection refused."), False),
        (redis.TimeoutError("Timeout reading from socket"), False),
        (redis.AuthenticationError("Connection closed by server."), False),
    ],
)
def test_only_a_closed_connection_is_worth_a_second_try(error: redis.RedisError, closed: bool) -> None:
    """A time-out, a refusal and an answer of the server are not tried again."""
    assert found_closed(error) is closed


def test_a_counter_that_may_not_be_written_is_a_fault() -> None:
    """A full server is not taken for a value of another kind."""
    with broken_redis.full() as url:
        of_redis = RedisSettings.model_validate({"url": url})
        store = RedisStore(lambda: connect(of_redis), prefix="app:")
        with pytest.raises(redis.OutOfMemoryError):
            store.inc("app:n", 1)
        store.close()
