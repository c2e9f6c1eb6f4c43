"""Every fault that a gateway can show, against real servers that misbehave: what is said, and whether it is retried."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from settings.probe import HealthStatus
from settings.websocket import diagnosis
from settings.websocket.client import WebSocketClient
from settings.websocket.diagnosis import CODES, LONGEST_RETRY_AFTER_SECONDS, diagnose, retry_after_seconds
from settings.websocket.machine import State
from tests.websocket.clients import Make, account_balances, lines
from tests.websocket.gateway import (
    RawGateway,
    Script,
    close_frame,
    cut,
    deaf_port,
    dripping,
    frame,
    free_port,
    reset,
    saying,
    silent,
    status,
    upgraded,
    wait_until,
)

WRONG_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAA\r\n\r\n"
)
HUGE_FRAME = b"\x81\x7f" + (2**40).to_bytes(8, "big")

FAULTS: list[tuple[str, Script, str, bool]] = [
    ("hangs in handshake", silent, "timeout", True),
    ("answers a byte at a time", dripping, "timeout", True),
    ("accepts then closes", cut, "handshake-cut", True),
    ("accepts then RST", reset, "handshake-cut", True),
    ("garbage instead of HTTP", saying(b"\x00\xff\x13garbage\r\n\r\n"), "not-a-gateway", True),
    ("a header without end", saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000), "not-a-gateway", True),
    ("HTTP 200", status("200 OK"), "not-a-gateway", True),
    ("HTTP 400", status("400 Bad Request"), "rejected", False),
    ("HTTP 401", status("401 Unauthorized"), "unauthorized", False),
    ("HTTP 403", status("403 Forbidden"), "forbidden", False),
    ("HTTP 404", status("404 Not Found"), "not-found", False),
    ("HTTP 408", status("408 Request Timeout"), "server-error", True),
    ("HTTP 429", status("429 Too Many Requests"), "throttled", True),
    ("HTTP 500", status("500 Internal Server Error"), "server-error", True),
    ("HTTP 503", status("503 Service Unavailable"), "server-error", True),
    ("HTTP 503, twice asked to wait", status("503 Wait", "Retry-After: 1", "Retry-After: 2"), "server-error", True),
    ("HTTP 503, until no date", status("503 Wait", f"Retry-After: 1 Apr {10**20} 0:00 GMT"), "server-error", True),
    ("redirect to nowhere", status("302 Found", "Location: ws://[::1"), "redirected", False),
    ("two redirects", status("302 Found", "Location: /a", "Location: /b"), "redirected", False),
    ("redirect to http", status("302 Found", "Location: http://127.0.0.1:1/"), "redirected", False),
    ("redirect to ws refused", status("302 Found", f"Location: ws://127.0.0.1:{free_port()}/"), "refused", True),
    ("redirect to itself", status("302 Found", "Location: /again"), "redirected", False),
    ("wrong Sec-WebSocket-Accept", saying(WRONG_ACCEPT), "not-a-gateway", True),
    ("upgrade then TCP close", upgraded(then=cut), "connection-lost", True),
    ("upgrade then RST", upgraded(then=reset), "connection-lost", True),
    ("upgrade then 1011", upgraded(close_frame(1011, "oh nooo!")), "closed-with-error", True),
    ("upgrade then 1000", upgraded(close_frame(1000)), "closed", True),
    ("upgrade then 1001", upgraded(close_frame(1001, "restart")), "closed", True),
    ("upgrade then 1008", upgraded(close_frame(1008, "policy")), "policy", True),
    ("upgrade then 4401", upgraded(close_frame(4401, "token")), "closed-with-error", True),
    ("garbage frames", upgraded(b"\xff" * 64), "protocol-error", True),
    ("invalid UTF-8 text", upgraded(frame(1, b"\xff\xfe{}")), "invalid-text", True),
    ("huge frame", upgraded(HUGE_FRAME), "message-too-big", True),
    ("2 MiB message", upgraded(frame(1, b"x" * 2**21)), "message-too-big", True),
    ("upgraded then silent", upgraded(), "frozen", True),
]


PATIENCE: dict[str, dict[str, object]] = {
    "timeout": {"connect_timeout": 0.3},
    "frozen": {"connect_timeout": 10, "ping_interval": 0.2, "ping_timeout": 0.2},
}
"""Short where the test waits for a time-out, long where a busy machine must not run into one."""


@pytest.mark.parametrize(("script", "code", "transient"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_each_fault_has_its_cause_and_harms_nothing(
    make: Make, caplog: pytest.LogCaptureFixture, script: Script, code: str, transient: bool
) -> None:
    """A gateway that misbehaves is diagnosed, in one line of the log, and every event is still there."""
    with RawGateway(script) as gateway:
        client = make(gateway.url, max_retries=0, cooldown=0, **PATIENCE.get(code, {"connect_timeout": 10}))
        client.send("a")
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
    check_given_up(client, f"websocket-{code}", caplog)
    assert diagnosis._ROWS[code].transient is transient


def check_given_up(client: WebSocketClient, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """Check what health and the log say of a client that gave up after its first attempt."""
    reading = client.reading()
    assert (reading.status, reading.code) == (HealthStatus.UNHEALTHY, code)
    assert reading.cause
    assert reading.fix
    [given_up] = [record for record in lines(caplog) if record.levelname == "ERROR"]
    assert code in given_up.getMessage()
    assert reading.fix in given_up.getMessage()
    assert len(lines(caplog)) == 1
    assert account_balances(client)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ws://127.0.0.1:FREE", "refused"),
        ("ws://localhost:FREE", "refused"),
        ("ws://no-such-host.invalid", "host-unknown"),
        (f"ws://{'a' * 70}.example", "invalid-url"),
        ("ws://127.0.0.1:notaport", "invalid-url"),
        ("http://127.0.0.1/", "invalid-url"),
        ("ws://", "invalid-url"),
        ("ws://user@127.0.0.1", "invalid-url"),
    ],
    ids=["closed port", "closed port by name", "unknown host", "long name", "no number", "http", "empty", "user alone"],
)
def test_each_address_that_leads_nowhere_has_its_cause(
    make: Make, caplog: pytest.LogCaptureFixture, url: str, code: str
) -> None:
    """No server, no name, no valid address: each is told apart."""
    client = make(url.replace("FREE", str(free_port())), max_retries=0, cooldown=0)
    client.start()
    wait_until(lambda: client.state is State.UNAVAILABLE)
    check_given_up(client, f"websocket-{code}", caplog)


def test_a_port_that_drops_every_packet_is_left_after_the_time_out(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A black hole costs WS_CONNECT_TIMEOUT, not the minutes of the system."""
    with deaf_port() as port:
        client = make(f"ws://127.0.0.1:{port}", max_retries=0, cooldown=0, connect_timeout=0.3)
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
        check_given_up(client, "websocket-timeout", caplog)


def test_tls_to_a_plain_gateway_is_told_as_such(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """wss:// to a port without TLS names the TLS handshake."""
    with RawGateway(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as gateway:
        client = make(gateway.url.replace("ws:", "wss:"), max_retries=0, cooldown=0)
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
    check_given_up(client, "websocket-tls", caplog)


def test_an_unknown_fault_says_so_and_shows_what_was_said_without_secrets() -> None:
    """What is not in the table is shown as it came, masked, and may be tried again."""
    found = diagnose(RuntimeError("token s3cr3t-token refused by wss://u:hunter2@h"), secrets={"s3cr3t-token"})
    assert (found.code, found.transient) == ("websocket-unknown", True)
    assert "RuntimeError: token *** refused by wss://u:***@h" in found.cause


def test_an_error_of_the_system_that_is_not_known_shows_its_text() -> None:
    """An OSError without a row of its own is unknown, with its text."""
    assert "Too many open files" in diagnose(OSError(24, "Too many open files")).cause


def test_every_code_is_met_by_a_test() -> None:
    """No row of the table is there without a server that shows it."""
    met = {code for _, _, code, _ in FAULTS} | {
        "refused",
        "host-unknown",
        "invalid-url",
        "tls",
        "certificate",
        "unknown",
    }
    assert {f"websocket-{code}" for code in met} | {"websocket-unreachable"} == CODES


def test_an_end_of_our_own_making_is_told_by_what_the_gateway_said() -> None:
    """Where we close first for no fault of the gateway's, its answer counts, or that there was none."""
    ours, theirs = Close(1011, "internal error"), Close(1012, "restart")
    assert diagnose(ConnectionClosedError(theirs, ours, rcvd_then_sent=False)).code == "websocket-closed"
    assert diagnose(ConnectionClosedError(None, ours)).code == "websocket-connection-lost"


@pytest.mark.parametrize("number", [101, 113])
def test_a_network_without_a_way_is_unreachable(number: int) -> None:
    """No route to the host, or to its network."""
    assert diagnose(OSError(number, "no way")).code == "websocket-unreachable"


NOW = 1_700_000_000.0
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
DATES = r"Wed, [0-9]{1,3} Apr [0-9]{1,20} [0-9]{1,15}:[0-9]{1,3}:00 (GMT|[+-][0-9]{4,20})"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 90).replace("-0000", ""), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
        ("9" * 400, LONGEST_RETRY_AFTER_SECONDS),
        ("31536000", LONGEST_RETRY_AFTER_SECONDS),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, seconds: float) -> None:
    """Both forms of RFC 9110 are understood, nonsense is not, and nothing keeps the client away for more than a day."""
    error = InvalidStatus(Response(503, "Service Unavailable", Headers({"Retry-After": text})))
    assert retry_after_seconds(error, now=NOW) == pytest.approx(seconds)


@given(st.lists(PRINTABLE | st.from_regex(DATES, fullmatch=True), max_size=3))
def test_whatever_a_gateway_asks_for_is_bounded(values: list[str]) -> None:
    """Any text, any date, any number of headers: nothing is raised, and a day is the most."""
    headers = Headers([("Retry-After", value) for value in values])
    asked = retry_after_seconds(InvalidStatus(Response(503, "Service Unavailable", headers)), now=NOW)
    assert 0 <= asked <= LONGEST_RETRY_AFTER_SECONDS


def test_of_several_the_longest_counts() -> None:
    """A proxy in between may ask for more than the gateway."""
    headers = Headers([("Retry-After", "3"), ("Retry-After", "7"), ("Retry-After", "soon")])
    assert retry_after_seconds(InvalidStatus(Response(503, "Service Unavailable", headers)), now=NOW) == 7.0


def test_what_is_no_http_status_asks_for_nothing() -> None:
    """Only an HTTP answer can carry Retry-After."""
    assert retry_after_seconds(ConnectionRefusedError(), now=NOW) == 0.0
