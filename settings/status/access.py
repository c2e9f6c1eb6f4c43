"""Who may see the pages, and who may change anything: decided before anything is looked up."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from werkzeug.http import parse_cookie

from settings.status.model import StatusSettings

COOKIE = "twelvefactor_status"
SIGNED_IN_SECONDS = 12 * 3600
LONGEST_NAME = 80
CLIENTS = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_X_CLIENT_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_CF_CONNECTING_IP")
"""Where proxies say for whom they ask."""
FORWARDED = (
    *CLIENTS, "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_SERVER",
)  # fmt: skip
"""What proxies add to a request that they pass on."""
Environ = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request may do.

    Attributes:
        name: Who it is, for an acknowledgement; empty when it did not say.
        by_cookie: Whether a browser's cookie opened the door.
        by_token: Whether the token itself did, which no browser sends on behalf of another site.
    """

    may_see: bool
    may_change: bool
    name: str = ""
    by_cookie: bool = False
    by_token: bool = False


NOBODY = Caller(may_see=False, may_change=False)


class Access:
    """The rules of STATUS_PAGE and STATUS_TOKEN.

    Args:
        settings: The room's settings.
        environment: APP_ENV.
        wall: Seconds since 1970.
    """

    def __init__(self, settings: StatusSettings, environment: str, *, wall: Callable[[], float] = time.time) -> None:
        token = settings.token.get_secret_value() if settings.token is not None else ""
        self._token, self._wall = token.encode(), wall
        self._page, self._development = settings.page, environment == "development"

    @property
    def with_token(self) -> bool:
        """Whether there is a token to sign in with."""
        return bool(self._token)

    @property
    def offered(self) -> bool:
        """Whether anybody at all may see the page."""
        return self.with_token or self._page

    def caller(self, environ: Environ) -> Caller:
        """Return what this request may do: by token, by cookie, or because it comes from this machine."""
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(_utf8(given.strip())):
            return Caller(may_see=True, may_change=True, by_token=True)
        name = self._name_in(_cookie_in(environ)) if self._token else None
        if name is not None:
            return Caller(may_see=True, may_change=True, name=name, by_cookie=True)
        if self._page and is_local(environ):
            return Caller(may_see=True, may_change=self._development)
        return NOBODY

    def is_token(self, given: str) -> bool:
        """Say whether this is the token, in a time that tells nothing of it."""
        mine, theirs = (hashlib.sha256(each).digest() for each in (self._token, given.encode("utf-8", "replace")))
        return hmac.compare_digest(mine, theirs) and bool(self._token)

    def cookie(self, name: str) -> str:
        """Return the value of a cookie that signs `name` in: expiry, name, and a signature by the token."""
        label = base64.urlsafe_b64encode(name.strip()[:LONGEST_NAME].encode()).decode().rstrip("=")
        text = f"{int(self._wall()) + SIGNED_IN_SECONDS}.{label}"
        return f"{text}.{self._signature(text)}"

    def _name_in(self, cookie: str) -> str | None:
        text, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._signature(text).encode(), signature.encode("utf-8", "replace")):
            return None
        expiry, _, label = text.partition(".")
        if int(expiry) < self._wall():
            return None
        return base64.urlsafe_b64decode(label + "=" * (-len(label) % 4)).decode()

    def _signature(self, text: str) -> str:
        return hmac.new(self._token, f"status page, 1: {text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _utf8(header: str) -> str:
    """Return a header's text as it was sent: WSGI hands bytes over as if they were Latin-1."""
    return header.encode("latin-1", "replace").decode("utf-8", "replace")


def _cookie_in(environ: Environ) -> str:
    try:
        return parse_cookie(dict(environ)).get(COOKIE, "")
    except UnicodeError:  # bytes that are no UTF-8
        return ""


def is_local(environ: Environ) -> bool:
    """Say whether a request comes from this machine and was not passed on from elsewhere.

    The address alone is not enough: a reverse proxy on this machine has it too, and so has a page of another
    site whose name points here (DNS rebinding), which the Host header gives away. A proxy says for whom it asks:
    where APP_PROXY_HOPS trusts it, everybody on the way has to be this machine, and else nobody is believed.
    """
    passed_on = any(environ.get(name) for name in FORWARDED)
    received: Environ | None = environ.get("werkzeug.proxy_fix.orig")
    if passed_on and (received is None or not environ.get("HTTP_X_FORWARDED_FOR")):
        return False
    seen = [environ, received or environ]
    named = [each for name in CLIENTS for each in environ.get(name, "").split(",") if each]
    sender = seen[1].get("REMOTE_ADDR")  # a Unix socket has none
    addresses = [environ.get("REMOTE_ADDR", ""), *named, *([sender] if sender else [])]
    return all(map(_is_loopback, addresses)) and all(_is_own_name(each.get("HTTP_HOST") or "") for each in seen)


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _is_own_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def is_same_origin(environ: Environ) -> bool:
    """Say whether a browser sent this from a page of ours; without either header it was no browser's page."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin is None and site is None:
        return False
    same_site = site in (None, "same-origin")
    return same_site and (origin is None or origin.partition("://")[2] == environ.get("HTTP_HOST"))
