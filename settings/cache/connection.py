"""A connection to Redis whose host name is resolved within REDIS_CONNECT_TIMEOUT too."""

import socket
import threading
from queue import Empty, SimpleQueue
from typing import Any, cast

import redis


def await_name(host: str, port: int, seconds: float) -> None:
    """Return once the name server has answered for `host`; at most `seconds` later.

    The resolver of the system knows no time-out of ours: with silent name servers each request that wants a new
    connection would wait for ten seconds and more. It is asked on a daemon thread, which ends when the resolver does.

    Raises:
        OSError: What the resolver raised; TimeoutError when it has not answered.
    """
    answer: SimpleQueue[Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001 # it is raised by whoever waits
            answer.put(error)
        else:
            answer.put(None)

    try:
        threading.Thread(target=ask, name="cache-resolver", daemon=True).start()
    except RuntimeError:
        return  # no more threads: the connection itself asks, and waits as long as that takes
    try:
        error = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError("the name server did not answer") from None
    if error is not None:
        raise error


class NamedConnection(redis.Connection):
    """A connection by TCP."""

    def _connect(self) -> Any:  # noqa: ANN401 # redis-py has no annotation there
        await_name(self.host, self.port, self.socket_connect_timeout or 0.0)
        return cast("Any", super())._connect()


class NamedSSLConnection(redis.SSLConnection, NamedConnection):
    """A connection by TLS; redis-py's class for it opens what the next one in line opens."""
