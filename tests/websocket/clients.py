"""How tests make clients, and what must be true of each of them."""

import logging
from collections.abc import Callable
from typing import Protocol

import pytest
from pydantic import SecretStr

from settings.websocket.client import WebSocketClient
from settings.websocket.model import WebSocketSettings


class Make(Protocol):
    """Makes a client with quick settings, and closes it at the end of the test."""

    def __call__(self, url: str | None, **options: object) -> WebSocketClient:
        """Return a client; options are settings, or arguments of WebSocketClient."""


QUICK: dict[str, object] = {"retry_delay": 0.01, "retry_max_delay": 0.05, "connect_timeout": 10.0}
ARGUMENTS = ("run_in_context", "clock", "jitter")


def make_client(url: str | None, **options: object) -> WebSocketClient:
    """Return a client; a URL that the settings would refuse is taken all the same."""
    arguments: dict[str, Callable[..., object]] = {
        name: value for name in ARGUMENTS if callable(value := options.pop(name, None))
    }
    settings = WebSocketSettings.model_validate({**QUICK, **options})
    settings = settings.model_copy(update={"url": None if url is None else SecretStr(url)})
    return WebSocketClient(settings, app_name="shop", **arguments)  # type: ignore[arg-type] # told apart by name only


def account_balances(client: WebSocketClient) -> bool:
    """Say whether every call is accounted for."""
    figures = client.figures()
    return figures["calls"] == sum(int(figures[name] or 0) for name in ("sent", "queued", "dropped"))


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what our room and its libraries have logged; at DEBUG, asyncio names its selector once."""
    ours = ("settings.", "websockets.client", "websockets.protocol")
    return [
        record
        for record in caplog.records
        if record.name.startswith(ours) or (record.name == "asyncio" and record.levelno > logging.DEBUG)
    ]
