"""What may be shown of the gateway."""

import pytest

from settings.websocket.model import WebSocketSettings
from settings.websocket.target import secrets_of, shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://gateway.example.com/events", "wss://gateway.example.com/events"),
        ("wss://user:pass@word@h:8443/e?token=abc", "wss://h:8443/e"),
        ("ws://u:p@[::1]:9/", "ws://[::1]:9/"),
        ("", ""),
    ],
)
def test_the_target_is_shown_without_user_password_and_query(url: str, expected: str) -> None:
    """Host, port and path are what a person needs."""
    assert shown(url) == expected


def test_token_password_and_values_of_the_query_are_secrets() -> None:
    """The password counts as it is written and as it is meant."""
    settings = WebSocketSettings.model_validate(
        {"url": "wss://user:pa%2Fss@h/e?signed=0123456789&v=1", "token": "the-token"}
    )
    url = "wss://user:pa%2Fss@h/e?signed=0123456789&v=1"
    assert secrets_of(settings) == {"the-token", "pa%2Fss", "pa/ss", "0123456789", url}


def test_without_a_gateway_there_is_no_secret() -> None:
    """Nothing set, nothing to hide: an empty text would mask everything."""
    assert secrets_of(WebSocketSettings()) == frozenset()
