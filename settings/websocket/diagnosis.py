"""Why the gateway cannot be used, and whether that can pass by itself: one table, one function."""

import errno
import re
import socket
import ssl
from collections.abc import Collection, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

from websockets import exceptions as ws

from settings.problems import Diagnosis, mask_secrets

LONGEST_RETRY_AFTER_SECONDS = 86400.0
"""A gateway that asks for more than a day is tried after a day."""


class FrozenError(Exception):
    """The gateway took nothing of a write for as long as a pong may take."""


def _row(code: str, cause: str, fix: str, *, transient: bool = True) -> tuple[str, Diagnosis]:
    return code, Diagnosis(f"websocket-{code}", cause, fix, transient)


_LOOK_AT_GATEWAY = "see the gateway's log"
_ROWS = dict(
    (
        _row("refused", "nothing listens at the address of WS_URL", "start it, or mend host and port of WS_URL"),
        _row("host-unknown", "the host name of WS_URL cannot be resolved", "mend the host of WS_URL, or its DNS entry"),
        _row(
            "unreachable",
            "there is no way through the network to the host of WS_URL",
            "mend the route, the firewall or the host",
        ),
        _row(
            "timeout",
            "no WebSocket connection within WS_CONNECT_TIMEOUT",
            "see whether a firewall drops it, the gateway hangs or wants wss://; or raise WS_CONNECT_TIMEOUT",
        ),
        _row(
            "handshake-cut",
            "the gateway, or something in between, closed the connection in the middle of the handshake",
            f"{_LOOK_AT_GATEWAY}; a port that wants TLS needs wss://",
        ),
        _row(
            "not-a-gateway",
            "what listens at WS_URL does not answer as a WebSocket server",
            "mend host, port and path of WS_URL, or let the proxy in between pass the Upgrade header on",
        ),
        _row(
            "redirected",
            "the gateway redirects to where nobody may follow: no WebSocket URL, a less safe one, or one too many",
            "set WS_URL to the address that the gateway is really at",
            transient=False,
        ),
        _row(
            "unauthorized",
            "the gateway refuses the credentials (HTTP 401)",
            "set WS_TOKEN to a token that it accepts; it is sent as Authorization: Bearer",
            transient=False,
        ),
        _row(
            "forbidden",
            "the gateway knows the credentials and forbids the connection (HTTP 403)",
            "grant the token of WS_TOKEN the right to connect, or look for a rule that refuses this host",
            transient=False,
        ),
        _row("not-found", "nothing is at the path of WS_URL (HTTP 404)", "mend the path of WS_URL", transient=False),
        _row(
            "throttled",
            "the gateway has had too many connections from here (HTTP 429)",
            "wait, or raise the limit of the gateway; its Retry-After is honoured",
        ),
        _row("server-error", "the gateway, or a proxy before it, has a fault of its own", _LOOK_AT_GATEWAY),
        _row(
            "rejected",
            "the gateway rejects the request",
            "mend WS_URL by what the gateway expects; see its log",
            transient=False,
        ),
        _row(
            "certificate",
            "the certificate of the gateway is not trusted, has expired or is another host's",
            "use the host name that the certificate has; for an authority of your own set SSL_CERT_FILE to its file",
            transient=False,
        ),
        _row("tls", "the TLS handshake with the gateway failed", "use wss:// for a TLS port and ws:// for a plain one"),
        _row(
            "invalid-url",
            "WS_URL is not an address that can be connected to",
            "write it like wss://host/path; a user name needs a password beside it",
            transient=False,
        ),
        _row(
            "frozen",
            "the gateway stopped answering: no pong within WS_PING_TIMEOUT, or it reads nothing any more",
            "see whether the gateway hangs, or a proxy in between forgets idle connections",
        ),
        _row("protocol-error", "the gateway sent bytes that are no WebSocket frames", _LOOK_AT_GATEWAY),
        _row("invalid-text", "the gateway sent text that is not UTF-8", "let the gateway send JSON in UTF-8"),
        _row("message-too-big", "the gateway sent more than 1 MiB in one message", "let it send smaller messages"),
        _row("closed", "the gateway closed the connection", "nothing, when it restarts; else see its log"),
        _row(
            "policy",
            "the gateway closed the connection by a policy of its own (1008)",
            "see the gateway's log; WS_TOKEN may be the wrong one",
        ),
        _row("closed-with-error", "the gateway closed the connection with an error", _LOOK_AT_GATEWAY),
        _row("connection-lost", "the connection ended without a word", "see whether the gateway runs, and the network"),
        _row("unknown", "unknown fault", "look this message up, and see the gateway's log"),
    )
)

CODES = frozenset(row.code for row in _ROWS.values())
"""Every code of a fault of the gateway."""


def diagnose(error: BaseException, *, secrets: Collection[str] = ()) -> Diagnosis:
    """Return why a connection failed or ended; its `transient` decides whether it is tried again.

    Transient, so tried again: a name that is not resolved, a refused or cut connection, a time-out, HTTP 408, 425,
    429 and 5xx, an answer that is no WebSocket handshake, a failed TLS handshake, and every end of a connection
    that had been open. Permanent, so left alone until somebody asks: HTTP 401, 403, 404 and every other 4xx, a
    certificate that does not hold, an invalid URL, a redirect that cannot be followed. A fault that is not known
    is transient, because the retries are bounded; what was said is shown with the secrets masked.

    Args:
        error: What `websockets`, or the system below it, raised.
        secrets: Never shown, in whatever spelling.
    """
    key, said = _known(error)
    row = _ROWS[key]
    words = mask_secrets(said, secrets)[:200].strip() if said else ""
    return Diagnosis(row.code, f"{row.cause}: {words}", row.fix, row.transient) if words else row


def retry_after_seconds(error: BaseException, *, now: float) -> float:
    """Return how long the gateway asks to be left alone, 0 when it does not: seconds or a date (RFC 9110, 10.2.3).

    Of several such headers, which a proxy in between may have added, the longest counts. Raises nothing.

    Args:
        error: What was raised.
        now: Seconds since the epoch.
    """
    if not isinstance(error, ws.InvalidStatus):
        return 0.0
    asked = (_seconds(text.strip(), now) for text in error.response.headers.get_all("Retry-After"))
    return min(max(asked, default=0.0), LONGEST_RETRY_AFTER_SECONDS)


def _seconds(text: str, now: float) -> float:
    return float(text) if text.isascii() and text.isdigit() else max(0.0, _seconds_until(text, now))


def _seconds_until(date: str, now: float) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):  # a year, an hour or a zone may be any number
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now


def _known(error: BaseException) -> tuple[str, str]:
    """Return the row of an error, and words of the other side's to show with it."""
    if isinstance(error, FrozenError):
        return "frozen", ""
    if isinstance(error, ws.ConnectionClosed):
        return _closed(error)
    if isinstance(error, ws.InvalidStatus):
        return _status(error.response.status_code)
    if _of_a_redirect(error):
        return "redirected", ""
    if isinstance(error, ws.InvalidHandshake):
        cut = any(isinstance(each, EOFError | ConnectionError) for each in _behind(error))
        return ("handshake-cut" if cut else "not-a-gateway"), ""
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, ValueError | ws.InvalidURI):  # UnicodeError, of a host name that is none, is one too
        return "invalid-url", ""
    return "unknown", f"{type(error).__name__}: {error}"


def _behind(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error.__cause__ or error.__context__
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _of_a_redirect(error: BaseException) -> bool:
    """Say whether an address of the gateway's choice is at fault, not WS_URL: one that came with its answer."""
    too_many = isinstance(error, ws.SecurityError) and "redirects" in str(error)
    return too_many or any(isinstance(each, ws.InvalidStatus) for each in _behind(error))


def _status(status: int) -> tuple[str, str]:
    known = {401: "unauthorized", 403: "forbidden", 404: "not-found", 429: "throttled"}
    if status in known:
        return known[status], ""
    if status >= 500 or status in (408, 425):
        return "server-error", f"HTTP {status}"
    return ("rejected" if status >= 400 else "not-a-gateway"), f"HTTP {status}"


_ERRNOS = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.ECONNRESET: "handshake-cut",
    errno.EPIPE: "handshake-cut",
    errno.ECONNABORTED: "handshake-cut",
    errno.ETIMEDOUT: "timeout",
}


def _system(error: OSError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLError):
        return ("certificate", error.verify_message) if isinstance(error, ssl.SSLCertVerificationError) else ("tls", "")
    if isinstance(error, socket.gaierror):
        return "host-unknown", ""
    if isinstance(error, TimeoutError):
        return "timeout", ""
    # asyncio joins the failures of several addresses (localhost is two) into one text without a number.
    numbers = [error.errno] if error.errno else [int(each) for each in re.findall(r"\[Errno (\d+)\]", str(error))]
    known = [_ERRNOS[number] for number in numbers if number in _ERRNOS]
    return (known[-1], "") if known else ("unknown", f"{type(error).__name__}: {error}")


_SENT = {1002: "protocol-error", 1007: "invalid-text", 1009: "message-too-big"}


def _closed(error: ws.ConnectionClosed) -> tuple[str, str]:
    """Return who ended it: what we had to say first, then what the gateway said, then silence."""
    sent, received = error.sent, error.rcvd
    if sent is not None and not error.rcvd_then_sent:
        if sent.code == 1011 and "keepalive" in sent.reason:
            return "frozen", ""
        if sent.code in _SENT:
            return _SENT[sent.code], ""
    if received is None:
        return "connection-lost", ""
    if received.code in (1000, 1001, 1005, 1012):
        return "closed", received.reason
    said = f"{received.code} {received.reason}".strip()
    return ("policy", received.reason) if received.code == 1008 else ("closed-with-error", said)
