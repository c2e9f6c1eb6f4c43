"""What is wrong with a URL is said as exactly that, and no part of a password with it."""

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


REDIS = [
    ("localhost:6379", "missing-scheme", "redis://host:6379/0"), ("redis:h", "missing-scheme", "redis://"),
    ("reddis://h", "unknown-scheme", "begin it with redis://"), ("http://h", "unknown-scheme", "redis://"),
    ("https://h", "unknown-scheme", "rediss://"), ("valkey://h", "unknown-scheme", "redis://"),
    ("redis+sentinel://h", "unknown-scheme", "redis://host"), ("redis+cluster://h", "unknown-scheme", "redis://host"),
    ("redis://", "missing-host", "redis://host"), ("redis://:6379/0", "missing-host", "redis://host"),
    ("redis://h:port/0", "invalid-port", "a number"), ("redis://h:0/0", "invalid-port", "a number"),
    ("redis://h:65536/0", "invalid-port", "a number"), ("redis://h/zero", "invalid-database", "its number"),
    ("redis://h?db=x", "invalid-database", "its number"), ("unix://run/redis.sock", "invalid-path", "unix:///run"),
    ("unix://", "invalid-path", "unix:///run"), ("redis://h /0", "invalid-character", "remove it"),
    ("redis://h\0/0", "invalid-character", "remove it"), ("redis://h\u200b/0", "invalid-character", "remove it"),
    ("redis://a..b/0", "invalid-host", "name or address"), ("redis://[::1/0", "invalid-host", "brackets"),
    ("redis://h1:1,h2:2/0", "several-hosts", "redis://host"), ("redis://h/0?db=x", "invalid-database", "its number"),
    ("redis//h", "missing-scheme", "begin it with redis://"), ("unix:/run/a.sock", "missing-scheme", "unix:///run"),
    ("redis://::1/0", "invalid-host", "brackets"),
    ("redis://h%00/0", "invalid-host", "name or address"), ("redis://h%20x/0", "invalid-host", "name or address"),
    ("redis://*:6379/0", "invalid-host", "name or address"), ("redis://[g::1]/0", "invalid-host", "name or address"),
]  # fmt: skip
WS = [
    ("https://h/x", "unknown-scheme", "wss://"), ("http://h/x", "unknown-scheme", "ws://"),
    ("wsss://h", "unknown-scheme", "wss://"), ("h/x", "missing-scheme", "wss://"),
    ("wss:///x", "missing-host", "wss://"),
    ("wss://h:99999/", "invalid-port", "a number"), ("wss://h/#part", "unescaped-character", "%23"),
]  # fmt: skip
BROKER = [
    ("mysql://h", "unknown-scheme", "redis://"), ("rabbitmq://h", "unknown-scheme", "amqp://"),
    ("sentinel://h", "unknown-scheme", "redis://"), ("amqp://", "missing-host", "amqp://"),
    ("redis://h/zero", "invalid-database", "its number"),
]  # fmt: skip
DATABASE = [
    ("postgres//db/app", "missing-scheme", "postgresql://user"),
    ("db.example.com/app", "missing-scheme", "postgresql://"),
    ("postgresqll://h/d", "unknown-scheme", "postgresql://"), ("pgsql://h/d", "unknown-scheme", "postgresql://"),
    ("mysql://h/d", "unknown-scheme", "postgresql://"), ("mysql+pymysql://h/d", "unknown-scheme", "postgresql://"),
    ("sqlite3:///a.db", "unknown-scheme", "sqlite://"), ("postgresql+asyncpg://h/d", "unknown-driver", "postgresql://"),
    ("postgresql+psycopg://h/d", "unknown-driver", "postgresql://"),
    ("sqlite+aiosqlite:///a", "unknown-driver", "sqlite://"),
    ("postgresql://h", "missing-database", "/database"), ("postgresql://h/", "missing-database", "/database"),
    ("postgresql://h:port/d", "invalid-port", "5432"), ("postgresql://h:70000/d", "invalid-port", "5432"),
    ("postgresql://u:p@ss@h/d", "unescaped-character", "%40"),
    ("postgresql://u:p/ss@h/d", "unescaped-character", "%2F"),
    ("postgresql://u:p?s=s@/w@h/d", "unescaped-character", "%40"),
    ("postgresql://u:p?ss@h/d", "unescaped-character", "%3F"), ("sqlite://app.db", "invalid-path", "sqlite:///"),
    ("postgresql:db/app", "missing-scheme", "begin it with postgresql://"), ("sqlite:a.db", "missing-scheme", "sqlite:///"),
    ("postgresql://::1/d", "invalid-host", "brackets"), ("postgresql://h /d", "invalid-host", "a name or an address"),
    ("postgresql://h/d?sslmod=require", "unknown-option", "did you mean sslmode?"),
    ("postgresql://h/d?sslmode=on", "invalid-option", "prefer, require, verify-ca"),
    ("sqlite:///u:p@h/d", "invalid-path", "postgresql://"), ("sqlite:///postgres://h/d", "invalid-path", "postgresql://"),
]  # fmt: skip
TABLE = [
    *((RedisSettings, "url", *row) for row in REDIS),
    *((WebSocketSettings, "url", *row) for row in WS),
    *((WorkersSettings, "broker_url", *row) for row in BROKER),
    *((DatabaseSettings, "url", *row) for row in DATABASE),
    (DatabaseSettings, "fallback_url", "postgresql://h/d", "unknown-scheme", "sqlite:///"),
]


@pytest.mark.parametrize(("model", "field", "url", "code", "fix"), TABLE)
def test_each_fault_has_its_code_and_its_fix(
    model: type[RoomSettings], field: str, url: str, code: str, fix: str
) -> None:
    """A wrong URL has a stable code, and a fix that shows the right spelling."""
    found = problem(model, field, url)
    assert (found.variable, found.code) == (model.variable(field), code), found
    assert fix in found.fix


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
