"""How a connection is kept: bounded retries, liveness, nothing lost, against real servers."""

import http
import json
import logging
import threading
import time

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from settings.backoff import ceiling_seconds
from settings.probe import HealthStatus
from settings.websocket.client import Change
from settings.websocket.keeper import Keeper
from settings.websocket.link import Link
from settings.websocket.machine import State
from tests.websocket.clients import Make, account_balances, lines
from tests.websocket.gateway import (
    Gateway,
    RawGateway,
    Script,
    close_frame,
    cut,
    free_port,
    status,
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


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "accepted"])
def test_a_retry_in_the_middle_of_an_attempt_is_not_forgotten(make: Make, refused: bool) -> None:
    """When that attempt fails the next one follows at once, though it was a permanent fault; else none is owed."""
    asked = threading.Event()

    def answer(connection: ServerConnection, _: Request) -> Response | None:
        first = len(gateway.attempts) == 1
        assert not first or asked.wait(10)
        return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no") if first and refused else None

    with Gateway(answer=answer) as gateway:
        client = make(gateway.url, max_retries=1, cooldown=0, retry_delay=0.5, retry_max_delay=0.5, jitter=lambda: 1.0)
        client.start()
        wait_until(lambda: gateway.attempts)
        client.retry()
        asked.set()
        wait_until(lambda: client.state is State.CONNECTED and gateway.connections)  # the gateway sees it last
        assert len(gateway.attempts) == 1 + refused
        dropped = time.monotonic()
        gateway.drop()
        wait_until(lambda: len(gateway.attempts) == 2 + refused)
        assert gateway.attempts[-1] - dropped >= 0.5 - LATE_SECONDS


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


def test_a_closed_connection_has_no_descriptor(make: Make, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its close on the number may be another file's, which a child of a fork must leave alone."""
    seen: list[int] = []

    async def lose(keeper: Keeper, connection: Link) -> None:
        seen.append(keeper.descriptor)
        connection.transport.abort()
        await connection.wait_closed()
        seen.append(keeper.descriptor)

    monkeypatch.setattr(Keeper, "_keep", lose)
    make(gateway.url).start()
    wait_until(lambda: len(seen) > 1)
    assert seen[0] > 0
    assert seen[1] == -1
