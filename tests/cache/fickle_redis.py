"""A stand-in for Redis whose connections can be held up, and die unseen."""

import contextlib
import socket
import threading
from typing import Self


class Fickle:
    """Answers every command with nil; holds answers back, and lets connections die unseen, on command."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.waiting = 0
        self._lock, self._free = threading.Lock(), threading.Event()
        self._free.set()
        self._generation = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.go_on()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hold(self) -> None:
        """Answer GET no more."""
        self._free.clear()

    def go_on(self) -> None:
        """Answer again, what was held back first."""
        self._free.set()

    def doom(self) -> None:
        """Let every connection that is open now be closed by its next command, as a firewall does that forgot it."""
        self._generation += 1

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection, self._generation), daemon=True).start()

    def _serve(self, connection: socket.socket, generation: int) -> None:
        with connection, contextlib.suppress(OSError):
            while (data := connection.recv(65536)) and generation == self._generation:
                if b"GET" in data and not self._free.is_set():
                    with self._lock:
                        self.waiting += 1
                    self._free.wait()
                connection.sendall(b"$-1\r\n" * data.count(b"*"))
