"""WS_: defaults, and what is refused before anything connects."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers

from settings.problems import SettingsError
from settings.websocket.model import WebSocketSettings


def refusals(**values: Any) -> list[str]:
    """Return the codes of what is refused; none when all of it is taken."""
    try:
        WebSocketSettings(**values)
    except SettingsError as error:
        return [problem.code for problem in error.problems]
    return []


def test_defaults_are_the_documented_ones() -> None:
    """Every default is that of the contract."""
    settings = WebSocketSettings()
    assert (settings.url, settings.enabled, settings.token) == (None, True, None)
    assert (settings.max_retries, settings.retry_delay, settings.retry_max_delay, settings.cooldown) == (5, 1, 30, 300)
    assert (settings.connect_timeout, settings.ping_interval, settings.ping_timeout) == (5, 20, 20)
    assert settings.queue_size == 1000


def test_tests_connect_nowhere_by_themselves() -> None:
    """In testing the default of WS_ENABLED is false, elsewhere true."""
    assert WebSocketSettings.defaults_in("testing") == {"enabled": False}
    assert WebSocketSettings.defaults_in("production") == {}


@pytest.mark.parametrize("url", ["http://gateway", "gateway.example.com", "ws://", "ws://h:99999/", "wss://h/#part"])
def test_what_is_no_gateway_is_refused(url: str) -> None:
    """Another scheme, no host, an impossible port and a fragment are errors of the settings, not of the network."""
    assert refusals(url=url)


@pytest.mark.parametrize("token", ["two\nlines", "nul\0", "\u2603"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """It is said at the check, instead of each connection failing for a reason that nobody finds."""
    assert refusals(token=token) == ["invalid-character"]


@given(st.text(st.characters(max_codepoint=300), max_size=30))
def test_every_token_that_is_taken_can_be_sent(token: str) -> None:
    """The settings refuse what the library would."""
    if not refusals(token=token):
        Headers({"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    "wrong", [{"max_retries": -1}, {"retry_delay": 0}, {"cooldown": -1}, {"ping_interval": "nan"}, {"queue_size": 0}]
)
def test_impossible_numbers_are_refused(wrong: dict[str, object]) -> None:
    """No number that would make the client spin, or never stop."""
    assert refusals(**wrong)
