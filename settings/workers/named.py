"""kombu's Redis transport with connections whose host name is resolved within their time-out too."""

from typing import Any

from kombu.transport import redis

from settings.resolver import await_name

# redis-py itself is the cache room's; kombu names its classes.
_Plain: Any = redis.Channel.connection_class
_Encrypted: Any = redis.Channel.connection_class_ssl


class _NamedConnection(_Plain):  # type: ignore[misc] # a class that is named by a variable
    def _connect(self) -> Any:  # noqa: ANN401 - kombu ships no types
        await_name(self.host, self.port, self.socket_connect_timeout)
        return super()._connect()


class _NamedSSLConnection(_Encrypted, _NamedConnection):  # type: ignore[misc] # as above
    pass


class _NamedChannel(redis.Channel):
    connection_class = _NamedConnection
    connection_class_ssl = _NamedSSLConnection


class NamedTransport(redis.Transport):
    """For connections that have a `socket_connect_timeout`."""

    Channel = _NamedChannel
