"""What is wrong with a URL is said as exactly that, and no part of a password with it."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import SettingsError
from settings.cache.model import RedisSettings
from settings.database.model import DatabaseSettings
from settings.problems import Problem
from settings.room import RoomSettings
from settings.urls import Scheme, checked_parts
from settings.websocket.model import WebSocketSettings
from settings.workers.model import WorkersSettings

HTTP = Scheme(("http",), "http://h")


def problem(model: type[RoomSettings], field: str, url: str) -> Problem:
    """Return the one problem of a URL."""
    with pytest.raises(SettingsError) as caught:
        model(**{field: url})
    [found] = caught.value.problems
    return found


MODELS: dict[str, tuple[type[RoomSettings], str]] = {
    "REDIS_URL": (RedisSettings, "url"), "WS_URL": (WebSocketSettings, "url"),
    "WORKERS_BROKER_URL": (WorkersSettings, "broker_url"),
    "DATABASE_URL": (DatabaseSettings, "url"), "DATABASE_FALLBACK_URL": (DatabaseSettings, "fallback_url"),
}  # fmt: skip
BLOCKS = [block.splitlines() for block in Path(__file__).with_name("url_words.txt").read_text().split("\n\n")[1:]]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0])
def test_each_fault_has_its_code_its_cause_and_its_fix(block: list[str]) -> None:
    """The code is stable, the fix shows the right spelling, and none of the words changes unnoticed."""
    variable, _, url = block[0].partition(" ")
    found = problem(*MODELS[variable], ast.literal_eval(url))
    assert found.variable == variable
    assert [f"{found.code}: {found.message}", f"fix: {found.fix}"] == block[1:]


@pytest.mark.parametrize(
    ("model", "url"),
    [
        (RedisSettings, "redis://h"), (RedisSettings, "rediss://app:p%40ss@cache.example.com:6380/1"),
        (RedisSettings, "unix:///run/redis.sock?db=2"), (RedisSettings, "redis://[::1]:6379/0"),
        (RedisSettings, "redis://bücher.example/0"), (RedisSettings, "REDIS://H/0"),
        (WebSocketSettings, "wss://u:p@h/a@b?c=d@e"), (WebSocketSettings, "ws://127.0.0.1:80"),
        (DatabaseSettings, "postgresql:///app?host=/run/postgresql"), (DatabaseSettings, "postgres://h1:1,h2:2/d"),
        (DatabaseSettings, "postgresql://u:p%40ss@h/d?sslmode=require&options=-c%20a=b"), (DatabaseSettings, "sqlite://"),
        (WorkersSettings, "redis://h1/0;redis://h2/0"), (WorkersSettings, "amqp://h/zero"),
        (RedisSettings, "redis://[fe80::1%eth0]:6379/0"), (RedisSettings, "redis://my_redis.svc./0"),
        (DatabaseSettings, "postgresql://u:p@h/d?application_name=a@b"), (RedisSettings, "redis://h/123456789"),
        (DatabaseSettings, "sqlite:///my app.db"), (DatabaseSettings, "postgresql://[::1]:5432/d"),
    ],
)  # fmt: skip
def test_right_urls_are_taken(model: type[RoomSettings], url: str) -> None:
    """What the clients open is not refused: sockets, IPv6, several hosts, options, names in other scripts."""
    assert model(**{"broker_url" if model is WorkersSettings else "url": url}) is not None


@pytest.mark.parametrize("separator", [*"@/?#%[", ":x:"])
@pytest.mark.parametrize("scheme", ["redis", "ws"])
def test_an_unescaped_password_is_said_to_be_one(scheme: str, separator: str) -> None:
    """Each character that has to be escaped is named, with its escape, and no part of the password is."""
    model = RedisSettings if scheme == "redis" else WebSocketSettings
    found = problem(model, "url", f"{scheme}://u:Zq9{separator}9qZ@h/1")
    assert found.code == "unescaped-character"
    assert "%40" in found.fix
    assert "Zq9" not in repr(found)
    assert "9qZ" not in repr(found)


@given(st.text(max_size=80))
def test_any_text_is_parts_or_a_refusal(text: str) -> None:
    """Whatever is written, a URL has a host and a port within bounds, or the model's own error is raised."""
    try:
        parts = checked_parts(f"http://{text}", HTTP)
    except ValueError:  # pydantic's custom error is one
        return
    assert parts.host
    assert parts.port is None or 0 < parts.port < 65536


@given(st.from_regex(r"[a-z0-9]{1,10}", fullmatch=True), st.integers(1, 65535), st.booleans())
def test_the_parts_are_those_that_were_put_in(host: str, port: int, guarded: bool) -> None:
    """A host and a port survive, and a password is noticed."""
    parts = checked_parts(f"http://{'u:p%2F@' if guarded else ''}{host}:{port}/a", HTTP)
    assert (parts.host, parts.port, parts.has_password, parts.path) == (host, port, guarded, "/a")
