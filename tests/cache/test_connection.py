"""How a connection begins: no name server, however silent, holds a request."""

import socket
import threading
import time

import pytest

from settings.cache.client import connect
from settings.cache.connection import NamedConnection, NamedSSLConnection
from settings.cache.model import RedisSettings
from settings.resolver import await_name
from tests.cache.conftest import MakeCache
from tests.servers import RedisServer


def test_a_silent_name_server_costs_one_time_out(make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for REDIS_CONNECT_TIMEOUT, all at the same time, and then no more; the fault is said."""
    answers, resolve = threading.Event(), socket.getaddrinfo
    asked: list[str] = []

    def silent(host: str, *arguments: int, **options: int) -> object:
        asked.append(host)
        answers.wait(20)
        return resolve("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    cache = make_cache("redis://redis.example:6379/0", connect_timeout=0.2)
    threads = [threading.Thread(target=cache.get, args=("key",)) for _ in range(4)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.set("key", 1)
    assert time.monotonic() - begin < 0.2 + 1
    assert cache.reading().code == "redis-connect-timeout"
    assert 0 < len(asked) <= 4
    answers.set()


def test_what_the_resolver_raises_is_raised() -> None:
    """A name that is not known is told from a name server that is silent."""
    with pytest.raises(socket.gaierror):
        await_name("no-such-host.invalid", 6379, 20)


def test_where_no_thread_can_be_started_the_connection_asks(
    make_cache: MakeCache, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that can have no more threads still finds its Redis."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    cache = make_cache(redis_server.url())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert cache.set("key", 1)
    assert cache.figures()["outages"] == 0


@pytest.mark.parametrize(
    ("url", "kind"),
    [("redis://h", NamedConnection), ("REDISS://h", NamedSSLConnection), ("rediss://h", NamedSSLConnection)],
)
def test_plain_and_tls_connections_are_ours(url: str, kind: type) -> None:
    """Both kinds of connection by network resolve within the time-out."""
    assert connect(RedisSettings.model_validate({"url": url})).connection_pool.connection_class is kind
