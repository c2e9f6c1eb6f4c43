"""Real gateways for the tests: a well-behaved one on the `websockets` library, and one that misbehaves on command."""

import base64
import contextlib
import hashlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[[socket.socket], None]
"""What a `RawGateway` does with one connection."""


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
        answer: Callable[[ServerConnection, Request], Response | None] | None = None,
        serve_one: Callable[[ServerConnection], None] | None = None,
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.attempts: list[float] = []
        self.connections: set[ServerConnection] = set()
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

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.attempts.append(time.monotonic())
        self.requests.append(request)
        return self._answer(connection, request) if self._answer else None

    def _handle(self, connection: ServerConnection) -> None:
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


class RawGateway:
    """A TCP server on a free port that does with each connection what `script` says, then closes it.

    Attributes:
        accepted: Moments (monotonic) of the connections.
    """

    def __init__(self, script: Script) -> None:
        self.accepted: list[float] = []
        self._script = script
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"ws://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted.append(time.monotonic())
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._script(connection)
        connection.close()
        self._open.discard(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """Return the handshake request."""
    request = b""
    while b"\r\n\r\n" not in request:
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("the client went away")
        request += more
    return request


def upgrade(connection: socket.socket) -> None:
    """Do the handshake as RFC 6455 wants it."""
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", read_request(connection))
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def until_closed(connection: socket.socket) -> None:
    """Read, and answer nothing, until the client ends the connection."""
    while connection.recv(65536):
        pass


def silent(connection: socket.socket) -> None:
    """Accept and say nothing."""
    until_closed(connection)


def cut(connection: socket.socket) -> None:
    """Close without reading, which the client sees as the end."""
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Send an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dripping(connection: socket.socket) -> None:
    """Answer the handshake one byte at a time, and never get to its end."""
    read_request(connection)
    while True:
        connection.sendall(b"H")
        time.sleep(0.02)


def saying(answer: bytes) -> Script:
    """Answer the handshake request with these bytes."""

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        until_closed(connection)

    return script


def status(line: str, *headers: str) -> Script:
    """Answer the handshake with an HTTP status."""
    head = "".join(f"{header}\r\n" for header in headers)
    return saying(f"HTTP/1.1 {line}\r\n{head}Content-Length: 2\r\nConnection: close\r\n\r\nno".encode())


def upgraded(frames: bytes = b"", *, then: Script = until_closed) -> Script:
    """Do the handshake, send these bytes, and go on as told."""

    def script(connection: socket.socket) -> None:
        upgrade(connection)
        connection.sendall(frames)
        then(connection)

    return script


def frame(opcode: int, payload: bytes) -> bytes:
    """Return one unmasked frame: 1 is text, 2 binary, 8 close."""
    size = len(payload)
    if size < 126:
        head = bytes([size])
    else:
        head = b"\x7e" + struct.pack("!H", size) if size < 2**16 else b"\x7f" + struct.pack("!Q", size)
    return bytes([0x80 | opcode]) + head + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame."""
    return frame(8, struct.pack("!H", code) + reason.encode())


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose backlog is full, so that the system drops every further SYN."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = int(listener.getsockname()[1])
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    yield port
    for each in (*fillers, listener):
        each.close()


def free_port() -> int:
    """Return a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
