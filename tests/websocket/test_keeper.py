"""How a connection is kept: bounded retries, liveness, nothing lost, against real servers."""

import http
import json
import logging
import socket
import threading
import time

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from settings.backoff import ceiling_seconds
from settings.probe import HealthStatus
from settings.websocket.client import Change
from settings.websocket.machine import State
from tests.proxy import TcpProxy
from tests.websocket.clients import Make, account_balances, lines
from tests.websocket.gateway import (
    Gateway,
    RawGateway,
    Script,
    close_frame,
    cut,
    free_port,
    status,
    upgrade,
    upgraded,
    wait_until,
)

LATE_SECONDS = 0.2
"""How late a server on a busy machine may note an attempt."""


def check_window(moments: list[float], *, most: int, cooldown: float) -> None:
    """Check that no window of one cooldown holds more than `most` attempts; a busy server may note one late."""
    for first, after in zip(moments, moments[most:], strict=False):
        assert after - first >= cooldown - LATE_SECONDS


@pytest.mark.parametrize(
    "script",
    [status("503 Service Unavailable"), cut, upgraded(close_frame(1011), then=cut), upgraded(then=cut), upgraded()],
    ids=["503", "cut", "1011", "cut once open", "silent once open"],
)
def test_attempts_that_the_server_counts_stay_within_their_bounds(
    make: Make, caplog: pytest.LogCaptureFixture, script: Script
) -> None:
    """Refusing, cutting, or opening only to close: the server sees retries, then one quiet probe each cooldown."""
    caplog.set_level(logging.DEBUG)
    cooldown, retries = 0.5, 3
    with RawGateway(script) as gateway:
        client = make(
            gateway.url,
            max_retries=retries,
            retry_delay=0.02,
            retry_max_delay=0.1,
            cooldown=cooldown,
            ping_interval=0.1,
            ping_timeout=0.1,
        )
        client.start()
        wait_until(lambda: len(gateway.accepted) >= retries + 4)
        client.close()
        seen = len(gateway.accepted)
        check_window(gateway.accepted, most=retries + 1, cooldown=cooldown)
    assert client.figures()["attempts"] == seen
    assert sum(record.levelname == "ERROR" for record in lines(caplog)) == 1
    assert len(lines(caplog)) <= 2


@pytest.mark.parametrize(
    ("first", "cap"), [(0.05, 0.3), pytest.param(1.0, 30.0, marks=[pytest.mark.full, pytest.mark.timeout(90)])]
)
def test_gaps_grow_with_jitter_within_their_bounds(make: Make, first: float, cap: float) -> None:
    """One real run: each gap is its jitter's share of its ceiling, and no attempt comes too early."""
    factors = [1.0, 0.5, 0.9, 0.3, 0.6]
    with RawGateway(status("503 Service Unavailable")) as gateway:
        given = iter(factors)
        client = make(
            gateway.url, max_retries=5, retry_delay=first, retry_max_delay=cap, cooldown=0, jitter=lambda: next(given)
        )
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE, seconds=80)
        gaps = [after - before for before, after in zip(gateway.accepted, gateway.accepted[1:], strict=False)]
    pauses = [ceiling_seconds(first, cap, n) * factor for n, factor in enumerate(factors)]
    assert all(pause - LATE_SECONDS <= gap <= pause + 2 for gap, pause in zip(gaps, pauses, strict=True))
    assert sum(gaps) >= sum(pauses) - LATE_SECONDS


def test_retry_after_is_honoured(make: Make) -> None:
    """A gateway that asks for a second gets it, though the pause would have been shorter."""
    with RawGateway(status("503 Service Unavailable", "Retry-After: 1")) as gateway:
        client = make(gateway.url, max_retries=1, cooldown=0, jitter=lambda: 0.0)
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
        first, second = gateway.accepted
    assert second - first >= 1 - LATE_SECONDS


def test_a_gateway_that_appears_later_is_used_and_gets_what_waited(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """No restart is needed, the order is kept, and the whole outage costs two lines."""
    caplog.set_level(logging.DEBUG)
    port = free_port()
    client = make(f"ws://127.0.0.1:{port}", max_retries=1, cooldown=0.1, ping_interval=0.05)
    client.start()
    wait_until(lambda: client.state is State.UNAVAILABLE)
    for n in range(20):
        client.send("n", n)
    with Gateway(port=port) as gateway:
        wait_until(lambda: len(gateway.messages) == 20)
        assert gateway.payloads() == list(range(20))
        wait_until(lambda: len(lines(caplog)) == 2)
        assert client.reading().status is HealthStatus.HEALTHY
        client.close()
    assert [record.levelname for record in lines(caplog)] == ["ERROR", "INFO"]


def test_a_thousand_events_of_an_outage_come_in_order_or_are_counted(make: Make, gateway: Gateway) -> None:
    """With room for 600 the last 600 of 1,000 are delivered in order, and 400 are counted as dropped."""
    client = make(gateway.url, queue_size=600)
    for n in range(1000):
        client.send("n", n)
        assert n % 100 or account_balances(client)
    assert client.figures()["dropped"] == 400
    client.start()
    wait_until(lambda: len(gateway.messages) == 600)
    assert gateway.payloads() == list(range(400, 1000))
    wait_until(lambda: client.figures()["sent"] == 600)
    assert account_balances(client)


def test_a_permanent_fault_is_left_alone_until_somebody_asks(make: Make) -> None:
    """After 401 there is one attempt for each `retry()`, and a token accepted by then is enough."""
    accepts = threading.Event()

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        return None if accepts.is_set() else connection.respond(http.HTTPStatus.UNAUTHORIZED, "no")

    with Gateway(answer=answer) as gateway:
        client = make(gateway.url, max_retries=5, cooldown=0.05)
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
        assert client.figures()["next_attempt_seconds"] is None
        client.retry()
        wait_until(lambda: len(gateway.attempts) == 2 and client.state is State.UNAVAILABLE)
        accepts.set()
        client.retry()
        wait_until(lambda: client.state is State.CONNECTED)
        client.retry()
        assert len(gateway.attempts) == 3
        assert client.reading().code == ""


@pytest.mark.parametrize("proxied", [True, False], ids=["frozen network", "frozen gateway"])
def test_a_frozen_peer_is_noticed_in_time(make: Make, gateway: Gateway, proxy: TcpProxy, proxied: bool) -> None:
    """Within WS_PING_INTERVAL + WS_PING_TIMEOUT + 1 s a peer that answers nothing counts as lost."""
    interval, timeout = 0.3, 0.3
    frozen_since: list[float] = []

    def silent(connection: socket.socket) -> None:
        upgrade(connection)
        frozen_since.append(time.monotonic())
        while connection.recv(4096):
            pass

    with RawGateway(silent) as mute:
        proxy.target = gateway.port
        client = make(
            f"ws://127.0.0.1:{proxy.port if proxied else mute.port}",
            ping_interval=interval, ping_timeout=timeout, max_retries=0, cooldown=0,
        )  # fmt: skip
        client.start()
        wait_until(lambda: client.figures()["connections"] == 1)
        if proxied:
            proxy.freeze()
            frozen_since.append(time.monotonic())
        wait_until(lambda: client.state is State.UNAVAILABLE)
        assert time.monotonic() - frozen_since[0] <= interval + timeout + 1
    assert client.reading().code == "websocket-frozen"
    proxy.thaw()  # its thread sees that the client has gone, and ends before the proxy closes what it reads from
    wait_until(lambda: not any("(_serve)" in thread.name for thread in threading.enumerate()))


def test_a_peer_that_stops_reading_is_noticed_in_time_and_costs_no_event(make: Make) -> None:
    """A write that no buffer takes any more neither blocks a caller nor hides the frozen peer."""
    interval, timeout = 0.3, 0.3
    stopped, asked = threading.Event(), threading.Event()

    def deaf(connection: socket.socket) -> None:
        upgrade(connection)
        asked.set()
        stopped.wait(20)

    with RawGateway(deaf) as gateway:
        client = make(gateway.url, ping_interval=interval, ping_timeout=timeout, max_retries=0, cooldown=0)
        client.start()
        asked.wait(5)
        begin = time.monotonic()
        for _ in range(64):
            client.send("big", "x" * 500_000)
        wait_until(lambda: client.state is State.UNAVAILABLE)
        assert time.monotonic() - begin <= interval + timeout + 1.5  # half a second for encoding 32 MB here
        stopped.set()
    figures = client.figures()
    assert client.reading().code == "websocket-frozen"
    assert int(str(figures["queued"])) > 0
    assert account_balances(client)


def test_a_long_queue_does_not_keep_what_comes_in_waiting(make: Make) -> None:
    """While events leave as fast as the gateway takes them, its own messages are handled all the same."""
    sent_by_then: list[object] = []

    def ask_at_once(connection: ServerConnection) -> None:
        connection.send('{"event": "e"}')
        for _ in connection:
            pass

    with Gateway(serve_one=ask_at_once) as gateway:
        client = make(gateway.url, queue_size=20_000)
        client.on("e", lambda _: sent_by_then.append(client.figures()["sent"]))
        for n in range(20_000):
            client.send("n", n)
        client.start()
        wait_until(lambda: sent_by_then)
    assert int(str(sent_by_then[0])) < 10_000


def test_a_live_but_quiet_peer_stays_connected(make: Make, gateway: Gateway) -> None:
    """Pings are answered by any gateway, so silence alone ends nothing."""
    client = make(gateway.url, ping_interval=0.05, ping_timeout=10)
    client.start()
    wait_until(lambda: client.state is State.CONNECTED)
    time.sleep(0.4)  # eight pings: what is shown is that nothing happens
    client.send("still", "here")
    wait_until(lambda: gateway.events() == ["still"])
    assert client.figures()["attempts"] == 1


def test_each_change_of_state_is_told_with_what_is_still_queued(make: Make) -> None:
    """An application can poll instead, as soon as it is told that nobody listens."""
    port = free_port()
    client, told = make(f"ws://127.0.0.1:{port}", max_retries=1, cooldown=0.1), list[Change]()
    client.on_change(told.append)
    client.send("a")
    client.start()
    wait_until(lambda: any(change.state is State.UNAVAILABLE for change in told))
    with Gateway(port=port):
        wait_until(lambda: told[-1].state is State.CONNECTED)
        client.close()
    states = [change.state for change in told]
    once = [State.CONNECTING, State.BACKING_OFF, State.CONNECTING, State.UNAVAILABLE, State.CONNECTING]
    assert states[:5] == once
    assert states[-2:] == [State.CONNECTED, State.DISABLED]
    assert [change.previous for change in told] == [State.DISABLED, *states[:-1]]
    unavailable = told[3]
    assert (unavailable.queued, unavailable.retry_in_seconds) == (1, 0.1)
    assert unavailable.diagnosis is not None
    assert unavailable.diagnosis.code == "websocket-refused"


def test_a_gateway_that_goes_and_comes_loses_no_event_that_was_not_written(make: Make) -> None:
    """Connections cut in mid-stream: what arrives is in order, and the account balances all the while."""
    port = free_port()
    client = make(f"ws://127.0.0.1:{port}", max_retries=200, queue_size=5000)
    client.start()
    got: list[int] = []
    for lap in range(4):
        with Gateway(port=port) as gateway:
            for n in range(lap * 200, lap * 200 + 200):
                client.send("n", n)
            wait_until(lambda: gateway.messages)
            gateway.drop()
            assert account_balances(client)
        got += gateway.payloads()
    with Gateway(port=port) as gateway:
        # What the system had taken of the last lap when its gateway went is lost, and counts as sent.
        client.send("n", 800)
        wait_until(lambda: gateway.payloads()[-1:] == [800])
        got += gateway.payloads()
    assert sorted(set(got)) == sorted(got)
    assert got == sorted(got)
    assert account_balances(client)
    assert json.dumps(got)
