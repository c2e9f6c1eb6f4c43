"""What is allowed, and seldom meant, where the application is served."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from settings.cache.model import REDIS, RedisSettings
from settings.checks.subject import Subject
from settings.database.config import DatabaseType
from settings.database.model import DatabaseSettings
from settings.logs.model import LogsSettings
from settings.model import AppSettings
from settings.problems import Problem
from settings.status.model import StatusSettings
from settings.urls import checked_parts
from settings.websocket.model import GATEWAY, WebSocketSettings

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

SHORT_SECRET = 16
"""Fewer characters than this can be guessed from a signed cookie."""
_MAKE = "set {} to what `python -c 'import secrets; print(secrets.token_hex(32))'` prints"
_MAKE_KEY = _MAKE.format("APP_SECRET_KEY")
_PRIVATE_ENDINGS = (".local", ".internal", ".localhost", ".svc", ".lan", ".home.arpa", ".test", ".docker")


def is_public(host: str) -> bool:
    """Say whether a host is reached over a network that others share: by a full name, or a public address."""
    name = host.strip("[]").rstrip(".").lower()
    address = _address(name)
    return address.is_global if address else "." in name and not name.endswith(_PRIVATE_ENDINGS)


def is_local(host: str) -> bool:
    """Say whether a host is this machine: a socket, or a loopback address."""
    if host == "" or host.startswith(("/", "@")):
        return True
    address = _address(host)
    return address.is_loopback if address else host.lower() in ("localhost", "localhost.localdomain")


def _address(host: str) -> "IPv4Address | IPv6Address | None":
    from ipaddress import ip_address  # costs, and is needed in production only

    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def production_problems(subject: Subject) -> Iterator[Problem]:
    """Yield what is dangerous; most of it in production only."""
    yield from _secrets_in_clear(subject)
    yield from _delays(subject)
    if subject.live:
        yield from _guessable(subject)
    if subject.environment == "production":
        yield from _left_out(subject)
        yield from _open_doors(subject)
        yield from _unencrypted(subject)


def _left_out(subject: Subject) -> Iterator[Problem]:
    if not subject.is_set("APP_NAME"):
        message = "it is not set: claims, cache keys and logs are those of every application named app"
        yield subject.problem("APP_NAME", "warning", "app-name-not-set", message, "set APP_NAME to a name of its own")
    key = subject.room(AppSettings).secret_key
    if key is None and "APP_SECRET_KEY" not in subject.failed:
        message = "it is not set: sessions and signed cookies cannot be used"
        yield subject.problem("APP_SECRET_KEY", "warning", "secret-key-not-set", message, _MAKE_KEY)


def _guessable(subject: Subject) -> Iterator[Problem]:
    key = subject.room(AppSettings).secret_key
    if key is not None and len(key.get_secret_value()) < SHORT_SECRET:
        message = f"it has fewer than {SHORT_SECRET} characters, and can be guessed"
        yield subject.problem("APP_SECRET_KEY", "warning", "short-secret-key", message, _MAKE_KEY)
    token = subject.room(StatusSettings).token
    if token is not None and len(token.get_secret_value()) < SHORT_SECRET:
        message = f"it has fewer than {SHORT_SECRET} characters, and opens the status page to whoever guesses it"
        yield subject.problem("STATUS_TOKEN", "warning", "short-status-token", message, _MAKE.format("STATUS_TOKEN"))


def _open_doors(subject: Subject) -> Iterator[Problem]:
    if subject.room(StatusSettings).page:
        message = (
            "the status page is open without a token in production, to whoever calls from this machine, or through a "
            "proxy on it that adds no X-Forwarded-For"
        )
        fix = "unset STATUS_PAGE, and set STATUS_TOKEN to see the page with a token"
        yield subject.problem("STATUS_PAGE", "warning", "status-page-open", message, fix)
    level = subject.room(LogsSettings).level
    if level in ("TRACE", "DEBUG"):
        message = f"{level} in production logs what nobody reads, and what should not be kept"
        yield subject.problem("LOG_LEVEL", "warning", "debug-in-production", message, "set LOG_LEVEL=INFO")
    if subject.room(DatabaseSettings).echo:
        message = "every SQL statement is logged in production"
        yield subject.problem("DATABASE_ECHO", "warning", "echo-in-production", message, "set DATABASE_ECHO=false")


def _unencrypted(subject: Subject) -> Iterator[Problem]:
    config = subject.database("DATABASE_URL")
    if config is None or config.type is not DatabaseType.POSTGRESQL or "service" in config.options:
        return
    chosen = "sslmode" in config.options or subject.sources.environ.get("PGSSLMODE")  # libpq's own variable
    if not chosen and not all(is_local(each) for each in (config.host or "").split(",")):
        message = "sslmode is not given: without TLS at the server, the password and the data travel in clear"
        fix = "append ?sslmode=require, or better ?sslmode=verify-full&sslrootcert=system, to the URL"
        yield subject.problem("DATABASE_URL", "warning", "sslmode-missing", message, fix)


def _secrets_in_clear(subject: Subject) -> Iterator[Problem]:
    redis, socket = subject.room(RedisSettings), subject.room(WebSocketSettings)
    if redis.url is not None:
        parts = checked_parts(redis.url.get_secret_value(), REDIS)
        if parts.scheme == "redis" and parts.has_password and is_public(parts.host):
            message = "redis:// sends the password in clear to a host that is not private"
            fix = "use rediss://, or a private address"
            yield subject.problem("REDIS_URL", "warning", "password-in-clear", message, fix)
        if parts.has_user and not parts.has_password and "password" not in parse_qs(parts.query):
            message = "it holds a user and no password; a password alone stands behind a colon"
            fix = "write redis://:<password>@host:6379/0, or redis://user:<password>@host:6379/0"
            yield subject.problem("REDIS_URL", "warning", "user-without-password", message, fix)
    if socket.url is not None:
        parts = checked_parts(socket.url.get_secret_value(), GATEWAY)
        if parts.scheme == "ws" and (socket.token or parts.has_password) and is_public(parts.host):
            message = "ws:// sends the token in clear to a host that is not private"
            yield subject.problem("WS_URL", "warning", "token-in-clear", message, "use wss://")


def _delays(subject: Subject) -> Iterator[Problem]:
    socket = subject.room(WebSocketSettings)
    if socket.retry_delay > socket.retry_max_delay and not subject.failed & {"WS_RETRY_DELAY", "WS_RETRY_MAX_DELAY"}:
        message = (
            f"its {socket.retry_delay:g} s are more than WS_RETRY_MAX_DELAY's {socket.retry_max_delay:g} s, which holds"
        )
        fix = "let WS_RETRY_DELAY be the smaller of the two"
        yield subject.problem("WS_RETRY_DELAY", "warning", "delay-above-ceiling", message, fix)
