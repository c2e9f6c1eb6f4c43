"""A connection to Redis whose host name is resolved within REDIS_CONNECT_TIMEOUT too."""

from typing import Any, cast

import redis

from settings.resolver import await_name


class NamedConnection(redis.Connection):
    """A connection by TCP."""

    def _connect(self) -> Any:  # noqa: ANN401 # redis-py has no annotation there
        await_name(self.host, self.port, self.socket_connect_timeout or 0.0)
        return cast("Any", super())._connect()


class NamedSSLConnection(redis.SSLConnection, NamedConnection):
    """A connection by TLS; redis-py's class for it opens what the next one in line opens."""
