"""Foot-guns in production: allowed, and seldom meant."""

from pathlib import Path

import pytest

from settings.checks.production import is_local, is_public
from settings.loading import inspect_settings

SAFE = {
    "APP_ENV": "production", "APP_NAME": "shop", "APP_SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "DATABASE_URL": "postgresql://app:pw@db.example.com/app?sslmode=require", "REDIS_URL": "rediss://:pw@c.example.com",
}  # fmt: skip


def codes(**variables: str) -> list[tuple[str, str]]:
    """Return variable and code of what is said beyond a safe production environment."""
    environ = {name: value for name, value in {**SAFE, **variables}.items() if value}
    found = inspect_settings(environ, folder=Path("/nonexistent-folder")).problems
    assert all(each.severity == "warning" for each in found)
    return [(each.variable, each.code) for each in found]


def test_a_safe_production_needs_no_word() -> None:
    """There is a way to set everything without a warning."""
    assert codes() == []


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("APP_NAME", "", "app-name-not-set"), ("APP_SECRET_KEY", "", "secret-key-not-set"),
        ("APP_SECRET_KEY", "short", "short-secret-key"), ("STATUS_PAGE", "true", "status-page-open"),
        ("STATUS_TOKEN", "short", "short-status-token"),
        ("LOG_LEVEL", "debug", "debug-in-production"), ("LOG_LEVEL", "TRACE", "debug-in-production"),
        ("DATABASE_ECHO", "1", "echo-in-production"),
        ("DATABASE_URL", "postgresql://app@db.example.com/app", "sslmode-missing"),
        ("DATABASE_URL", "postgresql://app@localhost,10.0.0.1/app", "sslmode-missing"),
        ("REDIS_URL", "redis://:pw@c.example.com", "password-in-clear"),
        ("REDIS_URL", "redis://:pw@8.8.8.8", "password-in-clear"),
        ("REDIS_URL", "rediss://Zq9@c.example.com", "user-without-password"),
    ],
)  # fmt: skip
def test_each_foot_gun_is_a_warning(variable: str, value: str, code: str) -> None:
    """One thing that is wrong is one warning, of that variable."""
    assert codes(**{variable: value}) == [(variable, code)]


def test_a_token_over_plain_websocket_is_a_warning() -> None:
    """WS_TOKEN travels in the first request."""
    assert codes(WS_URL="ws://g.example.com/", WS_TOKEN="t0ken") == [("WS_URL", "token-in-clear")]
    assert codes(WS_URL="ws://gateway/", WS_TOKEN="t0ken") == []


def test_a_first_pause_above_the_ceiling_is_a_warning() -> None:
    """The ceiling wins, which is not what WS_RETRY_DELAY says."""
    assert codes(WS_RETRY_DELAY="60") == [("WS_RETRY_DELAY", "delay-above-ceiling")]


@pytest.mark.parametrize(
    "url",
    ["postgresql:///app?host=/run/postgresql", "postgresql://app@localhost/app", "postgresql://app@127.0.0.1/app",
     "postgresql://app@[::1]/app", "postgresql://app@h/app?sslmode=disable"],
)  # fmt: skip
def test_a_local_database_needs_no_tls(url: str) -> None:
    """Sockets and loopback are not overheard; and who wrote sslmode has decided."""
    assert codes(DATABASE_URL=url) == []


def test_libpqs_own_variable_decides_too() -> None:
    """PGSSLMODE in the environment is what libpq takes when the URL says nothing."""
    assert codes(DATABASE_URL="postgresql://app@db.example.com/app", PGSSLMODE="require") == []


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("redis", False), ("10.0.0.1", False), ("192.168.1.2", False), ("8.8.8.8", True), ("c.example.com", True),
        ("redis.shop.svc.cluster.local", False), ("::1", False), ("2001:4860:4860::8888", True), ("h.internal", False),
    ],
)  # fmt: skip
def test_public_hosts_are_told_from_private_ones(host: str, public: bool) -> None:
    """A short name or a private address is reached within one network."""
    assert is_public(host) == public


@pytest.mark.parametrize(
    ("host", "local"), [("", True), ("/run", True), ("localhost", True), ("127.0.0.2", True), ("h", False)]
)
def test_local_hosts_are_this_machine(host: str, local: bool) -> None:
    """No host at all is libpq's socket."""
    assert is_local(host) == local


def test_a_short_secret_key_is_told_in_staging_too() -> None:
    """What can be guessed there is guessed before production."""
    environ = {"APP_ENV": "staging", "DATABASE_URL": "postgresql://a@localhost/d", "APP_SECRET_KEY": "short"}
    found = inspect_settings(environ, folder=Path("/nonexistent-folder")).problems
    assert ("APP_SECRET_KEY", "short-secret-key") in [(each.variable, each.code) for each in found]
