"""A server in the place of PostgreSQL that refuses every session."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def server_that_says(state: str, message: str) -> Iterator[int]:
    """Listen as a PostgreSQL that refuses every session with one message; yields the port."""
    fields = b"SFATAL\0VFATAL\0C" + state.encode() + b"\0M" + message.encode() + b"\0\0"

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    (length,) = struct.unpack("!i", connection.recv(4))
                    if struct.unpack("!i", connection.recv(length - 4)[:4])[0] == 80877103:  # an SSLRequest
                        connection.sendall(b"N")
                        connection.recv(4096)
                    connection.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
