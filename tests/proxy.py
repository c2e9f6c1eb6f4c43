"""A small TCP proxy that misbehaves on command: hang, close, reset, garbage, freeze, cut."""

import contextlib
import select
import socket
import struct
import threading
from typing import Literal, Self

Mode = Literal["pass", "hang", "close", "reset", "garbage"]


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class TcpProxy:
    """Listens on a free port of 127.0.0.1 and forwards to `port`, unless told otherwise.

    Attributes:
        mode: What happens to a new connection: `pass` forwards it, `hang` accepts and stays silent, `close` and
            `reset` end it at once, `garbage` answers with HTTP.
        target: The port it forwards to; may be changed at any time for later connections.
        accepted: Connections accepted so far.
        received: Bytes that came from either side so far, held back or not.
    """

    def __init__(self, target: int = 0, mode: Mode = "pass") -> None:
        self.target, self.mode = target, mode
        self.accepted = self.received = 0
        self._open: set[socket.socket] = set()
        self._thawed = threading.Event()
        self._thawed.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Forward nothing any more; connections stay open."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Forward again, what was held back first."""
        self._thawed.set()

    def cut(self) -> None:
        """Reset every connection that is open now."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                _reset(connection)
        self._open.clear()

    def close(self) -> None:
        """Stop listening and reset what is open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.thaw()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A ValueError says that `cut` has closed a socket between two calls.
        with contextlib.suppress(OSError, ValueError):
            if self.mode == "pass":
                self._forward(connection)
            elif self.mode == "garbage":
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.close()
            elif self.mode == "reset":
                _reset(connection)
            elif self.mode == "close":
                connection.close()

    def _forward(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.target)) as upstream, connection:
            self._open.add(upstream)
            peers = {connection: upstream, upstream: connection}
            while True:
                for ready in select.select(list(peers), [], [])[0]:
                    data = ready.recv(65536)
                    self.received += len(data)
                    self._thawed.wait()
                    if not data:
                        return
                    peers[ready].sendall(data)
