"""Real gateways for the tests: a well-behaved one on the `websockets` library, and one that misbehaves on command."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, serve
from websockets.sync.server import ServerConnection as Connection

__all__ = ["Gateway", "ServerConnection", "wait_until"]


def wait_until(true: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait for a condition, and fail when it does not come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


class Gateway:
    """A WebSocket server on a free port, or on `port`; records what it gets.

    Attributes:
        messages: Every message, decoded, in order.
        requests: Every handshake request.
        attempts: Moments (monotonic) of the handshakes.
        connections: Open connections.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        answer: Callable[[Connection, Request], Response | None] | None = None,
        serve_one: Callable[[Connection], None] | None = None,
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.attempts: list[float] = []
        self.connections: set[Connection] = set()
        self._answer, self._serve_one = answer, serve_one
        self._server: Server = serve(
            self._handle, "127.0.0.1", port, ssl=tls, process_request=self._request, close_timeout=0.2, max_size=None
        )
        self.port = int(self._server.socket.getsockname()[1])
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def broadcast(self, text: str | bytes) -> None:
        """Send a message on every connection."""
        for connection in list(self.connections):
            connection.send(text)

    def events(self) -> list[str]:
        """Return the names of the events that came."""
        return [message["event"] for message in self.messages]

    def payloads(self) -> list[Any]:
        """Return the payloads of the events that came."""
        return [message["payload"] for message in self.messages]

    def drop(self) -> None:
        """Cut every connection without a word."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop serving and cut what is open."""
        self._server.shutdown()
        self.drop()
        self._thread.join(5)

    def _request(self, connection: Connection, request: Request) -> Response | None:
        self.attempts.append(time.monotonic())
        self.requests.append(request)
        return self._answer(connection, request) if self._answer else None

    def _handle(self, connection: Connection) -> None:
        self.connections.add(connection)
        try:
            if self._serve_one is not None:
                return self._serve_one(connection)
            for message in connection:
                self.messages.append(json.loads(message))
        except ConnectionClosed:
            return None
        finally:
            self.connections.discard(connection)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
