"""Fixtures of the WebSocket room."""

from collections.abc import Iterator

import pytest

from settings.websocket.client import WebSocketClient
from tests.websocket.clients import Make, make_client
from tests.websocket.gateway import Gateway


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clients with quick settings, which are closed at the end."""
    made: list[WebSocketClient] = []

    def make_one(url: str | None, **options: object) -> WebSocketClient:
        made.append(make_client(url, **options))
        return made[-1]

    yield make_one
    for client in made:
        client.close(0.5)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway that behaves well."""
    with Gateway() as gateway:
        yield gateway
