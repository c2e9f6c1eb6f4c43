"""The gateway as it may be shown, and what of its settings may not."""

from urllib.parse import parse_qsl, unquote, urlsplit

from settings.websocket.model import WebSocketSettings

SHORTEST_SECRET = 8
"""Of a value in the query, in characters: a shorter one would blot out words that merely contain it."""


def shown(url: str) -> str:
    """Return the URL without user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def secrets_of(settings: WebSocketSettings) -> frozenset[str]:
    """Return what must never be shown: the token, the password of the URL, the values in its query, and the URL."""
    token = settings.token.get_secret_value() if settings.token is not None else ""
    url = settings.url.get_secret_value() if settings.url is not None else ""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= SHORTEST_SECRET]
    return frozenset({token, url, parts.password or "", unquote(parts.password or ""), *values}) - {""}
