"""As much of an AMQP broker as a client needs to log in and to publish: it says no when told to, as RabbitMQ does."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

from amqp import serialization

Method = tuple[int, int]
Fault = Literal["", "login", "virtual host", "silent", "no confirm", "nack"]
_START, _START_OK, _TUNE, _OPEN, _OPEN_OK, _CLOSE = (10, 10), (10, 11), (10, 30), (10, 40), (10, 41), (10, 50)
_PUBLISH, _ACK, _NACK = (60, 40), (60, 80), (60, 120)
_CAPABILITIES = {"capabilities": {"authentication_failure_close": True, "publisher_confirms": True}}
_CLOSING = {
    "login": (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.", 0, 0),
    "virtual host": (530, "NOT_ALLOWED - vhost shop not found", *_OPEN),
}
_ANSWERS: dict[Method, tuple[Method, str, tuple[object, ...]]] = {
    _OPEN: (_OPEN_OK, "s", ("",)),
    _CLOSE: ((10, 51), "", ()),
    (20, 10): ((20, 11), "S", ("",)),  # a channel
    (20, 40): ((20, 41), "", ()),  # its end
    (40, 10): ((40, 11), "", ()),  # an exchange
    (50, 10): ((50, 11), "sll", ("tests", 0, 0)),  # a queue
    (50, 20): ((50, 21), "", ()),  # its binding
    (85, 10): ((85, 11), "", ()),  # confirms
}


class Rabbit:
    """Listens on a free port of 127.0.0.1.

    Attributes:
        fault: What it does wrong: `login` and `virtual host` are refused, `silent` never answers, `no confirm` takes
            what is published without a word, `nack` refuses it.
        published: How many messages it was sent.
    """

    def __init__(self, fault: Fault = "", tls: ssl.SSLContext | None = None) -> None:
        self.fault, self.published, self._tls = fault, 0, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.ExitStack() as stack:
            wrapped = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            stream = stack.enter_context(stack.enter_context(wrapped).makefile("rwb", buffering=0))
            read, write = cast("Callable[[int], bytes]", stream.read), cast("Callable[[bytes], int]", stream.write)
            _exactly(read, 8)
            if self.fault != "silent":
                write(_frame(0, _START, "ooFSS", (0, 9, _CAPABILITIES, "PLAIN", "en_US")))
            for channel, method in _methods(read):
                for answer in self._answers(method):
                    write(_frame(channel, *answer))

    def _answers(self, method: Method) -> Iterator[tuple[Method, str, tuple[object, ...]]]:
        if (method, self.fault) in ((_START_OK, "login"), (_OPEN, "virtual host")):
            yield _CLOSE, "BsBB", _CLOSING[self.fault]
        elif method == _START_OK:
            yield _TUNE, "BlB", (2047, 131072, 0)
        elif method == _PUBLISH:
            self.published += 1
            if self.fault != "no confirm":
                yield _NACK if self.fault == "nack" else _ACK, "Lb", (self.published, False)
        elif method in _ANSWERS:
            yield _ANSWERS[method]


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := read(size - len(data))):
            raise EOFError
        data += more
    return data


def _methods(read: Callable[[int], bytes]) -> Iterator[tuple[int, Method]]:
    """Yield what is called on which channel; the content of messages is passed over."""
    while True:
        kind, channel, size = struct.unpack(">BHI", _exactly(read, 7))
        payload = _exactly(read, size + 1)
        if kind == 1:
            yield channel, struct.unpack(">HH", payload[:4])


def _frame(channel: int, method: Method, form: str, values: tuple[object, ...]) -> bytes:
    dumps: Any = serialization.dumps
    payload = struct.pack(">HH", *method) + (dumps(form, values) if form else b"")
    return struct.pack(">BHI", 1, channel, len(payload)) + payload + b"\xce"


@contextlib.contextmanager
def rabbit(fault: Fault = "", tls: ssl.SSLContext | None = None) -> Iterator[Rabbit]:
    """Run one for the length of a with block."""
    server = Rabbit(fault, tls)
    try:
        yield server
    finally:
        server.close()
