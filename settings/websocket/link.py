"""One connection on the `websockets` library: how it is opened, and what a fork does to it."""

import asyncio
import logging
import os
import socket
import ssl
import threading
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from settings.websocket.envelope import MAX_MESSAGE_BYTES
from settings.websocket.model import WebSocketSettings

CLOSE_TIMEOUT_SECONDS = 0.3
"""What a gateway has to answer our farewell; a frozen one is noticed this much after its pong was due."""

_SILENT = logging.Logger("settings.websocket.library", logging.CRITICAL + 1)
"""The library logs headers, WS_TOKEN with them, where DEBUG is on; and a line for each attempt. We say what matters."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop that resolves names on a daemon thread.

    The pool that asyncio uses for it is joined when the interpreter ends: a silent name server would hold the exit.
    """

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as asyncio's own
        """Return what `socket.getaddrinfo` returns."""
        answer: asyncio.Future[Any] = self.create_future()
        threading.Thread(
            target=self._resolve, args=(answer, args, kwargs), name="websocket-resolver", daemon=True
        ).start()
        return await answer

    def _resolve(self, answer: "asyncio.Future[Any]", args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        outcome: Any
        try:
            outcome, settle = socket.getaddrinfo(*args, **kwargs), answer.set_result
        except (OSError, UnicodeError) as error:
            outcome, settle = error, answer.set_exception
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
            self.call_soon_threadsafe(lambda: None if answer.done() else settle(outcome))


class Link(ClientConnection):
    """A connection that tells of each sign of life, and ends soon after its last frame.

    Attributes:
        heard: Called when the gateway has sent bytes, or has closed or reset the connection.
    """

    heard: Callable[[], None] = staticmethod(lambda: None)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; once the protocol expects the end, give the gateway CLOSE_TIMEOUT_SECONDS to close."""
        self.heard()
        super().data_received(data)
        if self.protocol.close_expected():
            self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.transport.abort)

    def eof_received(self) -> None:
        """Take in the end of the stream."""
        self.heard()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in the end of the connection; where we gave up waiting there is no ConnectionResetError."""
        if isinstance(exc, ConnectionResetError):
            self.heard()
        super().connection_lost(exc)


class Door:
    """Opens connections to the gateway; each of them verifies TLS and follows no proxy.

    Args:
        settings: Time-outs, and the token. With a token, user and password of the URL are left out, since they
            would be a second credential.
        url: The gateway.
    """

    def __init__(self, settings: WebSocketSettings, url: str) -> None:
        self._settings, self._url = settings, url
        self._headers: dict[str, str] = {}
        if settings.token is not None:
            parts = urlsplit(url)
            self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            self._headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Link]:
        """Connect, and close at the end of the with block."""
        async with connect(
            self._url,
            **self._tls_options(),
            additional_headers=self._headers,
            proxy=None,
            compression=None,  # events are small, and each connection would hold memory for it
            open_timeout=self._settings.connect_timeout,
            ping_interval=self._settings.ping_interval,
            ping_timeout=self._settings.ping_timeout,
            close_timeout=CLOSE_TIMEOUT_SECONDS,
            max_size=MAX_MESSAGE_BYTES,
            write_limit=0,  # so that a message counts as sent when the system has it, not when the library has
            logger=_SILENT,
            create_connection=Link,
        ) as connection:
            assert isinstance(connection, Link)
            yield connection

    def _tls_options(self) -> dict[str, Any]:
        """Return the verifying context, made once: reading the authorities takes tens of milliseconds.

        With ws:// there is none, and the library makes one, as verifying, should the gateway redirect to wss://.
        """
        if not self._url.lower().startswith("wss:"):
            return {}
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return {"ssl": self._tls}


def let_go_in_child(descriptor: int) -> None:
    """Let a forked child hold its parent's connection no longer, so that the gateway notices when the parent ends.

    The number stays in use, for the null device: objects inherited from the parent may close it later.
    """
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)


def socket_of(connection: ClientConnection) -> TransportSocket:
    """Return the socket of an open connection, whose `fileno()` is -1 from the moment in which it is closed."""
    found: TransportSocket = connection.transport.get_extra_info("socket")
    return found
