"""The client against a real gateway."""

import logging
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from settings.probe import HealthStatus
from settings.websocket.machine import State
from settings.websocket.outbox import Delivery
from tests.websocket.clients import Make, account_balances, lines
from tests.websocket.gateway import Gateway, RawGateway, close_frame, cut, free_port, silent, upgraded, wait_until


def test_events_arrive_in_order_with_name_payload_app_and_time(make: Make, gateway: Gateway) -> None:
    """What is sent arrives once, in order, in the shape that is documented."""
    client = make(gateway.url)
    client.start()
    assert [client.send("order.paid", {"order": n}) for n in range(100)] == [Delivery.QUEUED] * 100
    wait_until(lambda: len(gateway.messages) == 100)
    assert gateway.payloads() == [{"order": n} for n in range(100)]
    first = gateway.messages[0]
    assert (first["event"], first["app"], set(first)) == ("order.paid", "shop", {"event", "payload", "app", "at"})
    wait_until(lambda: client.figures()["sent"] == 100)
    assert account_balances(client)


def test_events_of_before_the_connection_are_delivered_first(make: Make, gateway: Gateway) -> None:
    """Events wait for the connection and keep their order."""
    client = make(gateway.url)
    client.send("a")
    client.send("b")
    client.start()
    wait_until(lambda: client.state is State.CONNECTED)
    client.send("c")
    wait_until(lambda: gateway.events() == ["a", "b", "c"])


@pytest.mark.parametrize(("url", "enabled"), [(None, True), ("ws://127.0.0.1:9", False)])
def test_without_a_url_or_when_switched_off_nothing_is_attempted(make: Make, url: str | None, enabled: bool) -> None:
    """A disabled client starts no thread, drops and counts what is sent, and says so."""
    client = make(url, enabled=enabled)
    client.start()
    assert client.send("a") is Delivery.DROPPED
    figures = client.figures()
    assert (client.state, figures["attempts"], figures["dropped"]) == (State.DISABLED, 0, 1)
    assert client.reading().status is HealthStatus.DISABLED
    assert account_balances(client)


def test_a_close_sends_what_is_queued_and_says_farewell(make: Make, gateway: Gateway) -> None:
    """Nothing that could be sent is lost by a close; later events are dropped and counted."""
    client = make(gateway.url)
    client.start()
    wait_until(lambda: client.state is State.CONNECTED)
    for n in range(200):
        client.send("n", n)
    client.close()
    wait_until(lambda: len(gateway.messages) == 200)
    assert client.send("late") is Delivery.DROPPED
    assert client.reading().detail.endswith("closed")
    assert account_balances(client)


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("a", {"when": object()}, "it holds a object, which JSON does not know"),
        (7, None, "its name is not a text"),
        ("e" * 256, None, "its name has 256 characters, more than 255"),
        ("big", "x" * 2**20, "it has 1048578 bytes as JSON, more than 1044480"),
    ],
)
def test_what_cannot_be_encoded_is_refused_with_a_reason(
    make: Make, caplog: pytest.LogCaptureFixture, event: str, payload: object, reason: str
) -> None:
    """A bad event is dropped, counted and explained, and raises nothing."""
    client = make("ws://127.0.0.1:9")
    assert client.send(event, payload) is Delivery.DROPPED
    figures = client.figures()
    assert (figures["refused"], figures["dropped"], figures["queued"]) == (1, 1, 0)
    assert account_balances(client)
    [record] = lines(caplog)
    assert record.getMessage().endswith(f"is not sent: {reason} [websocket-event-refused]")


def test_a_payload_may_be_changed_once_it_is_sent(make: Make, gateway: Gateway) -> None:
    """What arrives is what was given, not what it became while it waited."""
    client, payload = make(gateway.url), {"n": 1}
    client.send("a", payload)
    payload["n"] = 2
    client.start()
    wait_until(lambda: gateway.payloads() == [{"n": 1}])


def test_no_secret_is_ever_shown(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Token, password and query are in no line, reading, figure or repr, even where the gateway says them back."""
    caplog.set_level(logging.DEBUG)
    secrets = ("t0p-s3cret-token", "hunter2-password", "query-s3cret")
    echo = upgraded(close_frame(4401, f"bad {secrets[0]} {secrets[2]}"), then=cut)
    with RawGateway(echo) as gateway:
        url = gateway.url.replace("://", f"://user:{secrets[1]}@") + f"/events?access={secrets[2]}"
        client = make(url, token=secrets[0], max_retries=1, cooldown=0)
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
        shown = "\n".join([repr(client), str(client.reading()), str(client.figures()), repr(vars(client)), caplog.text])
    assert "4401 bad *** ***" in shown
    for secret in secrets:
        assert secret not in shown


def test_calls_of_many_threads_while_the_gateway_comes_and_goes_all_add_up(make: Make) -> None:
    """Whatever the network does, no call is lost from the account, and each thread's events arrive in order."""
    port, got = free_port(), list[tuple[int, int]]()
    client = make(f"ws://127.0.0.1:{port}", max_retries=1000, queue_size=300)

    def call(thread: int) -> None:
        for n in range(300):
            assert client.send("n", [thread, n]) is Delivery.QUEUED

    def busy(gateway: Gateway) -> bool:
        return bool(gateway.messages) or not client.figures()["queued"]

    client.start()
    callers = [threading.Thread(target=call, args=(thread,)) for thread in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        with Gateway(port=port) as gateway:
            wait_until(partial(busy, gateway))
            assert account_balances(client)
        got += [(thread, n) for thread, n in gateway.payloads()]
    for caller in callers:
        caller.join()
    with Gateway(port=port) as gateway:
        wait_until(lambda: client.figures()["queued"] == 0)
        client.close()
        wait_until(lambda: not gateway.connections)
    got += [(thread, n) for thread, n in gateway.payloads()]
    figures = client.figures()
    assert figures["calls"] == 1200
    assert account_balances(client)
    assert len(got) <= int(str(figures["sent"]))
    for thread in range(4):
        mine = [n for each, n in got if each == thread]
        assert mine == sorted(set(mine))


def test_a_close_ends_an_attempt_that_hangs_at_once(make: Make) -> None:
    """A silent gateway, or a pause, holds no exit."""
    with RawGateway(silent) as gateway:
        client = make(gateway.url, connect_timeout=30)
        client.send("a")
        client.start()
        wait_until(lambda: gateway.accepted)
        begin = time.monotonic()
        client.close(grace_seconds=10)
        assert time.monotonic() - begin < 5
    assert client.figures()["dropped"] == 1
    assert account_balances(client)


def test_a_close_waits_no_longer_than_its_grace_for_a_peer_that_reads_nothing(make: Make) -> None:
    """What cannot be sent in time is counted as dropped."""
    ended = threading.Event()

    def reads_nothing(_: socket.socket) -> None:
        ended.wait(20)

    with RawGateway(upgraded(then=reads_nothing)) as gateway:
        client = make(gateway.url)
        client.start()
        wait_until(lambda: client.state is State.CONNECTED)
        for _ in range(40):
            client.send("big", "x" * 500_000)
        begin = time.monotonic()
        client.close(grace_seconds=0.3)
        assert time.monotonic() - begin < 5
        assert not [each for each in threading.enumerate() if each.name == "websocket"]
        ended.set()
    figures = client.figures()
    assert int(str(figures["dropped"])) > 0
    assert figures["queued"] == 0
    assert account_balances(client)


def test_start_and_close_may_be_called_again_and_again(make: Make, gateway: Gateway) -> None:
    """One thread, one connection; after a close nothing begins anew."""
    client = make(gateway.url)
    client.start()
    client.start()
    wait_until(lambda: client.state is State.CONNECTED)
    client.close()
    client.close()
    client.start()
    client.retry()
    assert len(gateway.attempts) == 1
    assert not [each for each in threading.enumerate() if each.name == "websocket"]


def test_a_client_that_was_not_started_makes_no_connection(make: Make, gateway: Gateway) -> None:
    """In a process that does not serve, events wait, nothing is attempted, and no library is loaded for it."""
    client = make(gateway.url)
    assert client.send("a") is Delivery.QUEUED
    client.retry()
    reading = client.reading()
    assert (reading.status, reading.facts["attempts"]) == (HealthStatus.UNKNOWN, 0)
    assert reading.detail == f"{gateway.url}: connects where requests are served"
    assert gateway.attempts == []


def test_the_client_is_light_until_it_is_started() -> None:
    """Importing and making a client without a URL loads neither the library nor an event loop's thread."""
    code = (
        "import sys\n"
        "from settings.websocket.client import WebSocketClient\n"
        "from settings.websocket.model import WebSocketSettings\n"
        "client = WebSocketClient(WebSocketSettings(), app_name='a')\n"
        "client.start(); client.send('a'); client.reading(); client.close()\n"
        "sys.exit('websockets' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_health_says_what_the_connection_does(make: Make) -> None:
    """Connecting is unknown, retrying a fallback, given up unhealthy, also while a quiet probe is under way."""
    seen, holds = list[tuple[State, HealthStatus]](), threading.Event()

    def hold_the_third(connection: socket.socket) -> None:
        if len(gateway.accepted) == 3:
            holds.wait(5)

    def stands_at(state: State) -> bool:
        return client.state is state

    with RawGateway(hold_the_third) as gateway:
        client = make(
            gateway.url, max_retries=1, cooldown=0.05, retry_delay=0.3, retry_max_delay=0.3, jitter=lambda: 1.0
        )
        assert client.reading().status is HealthStatus.UNKNOWN
        client.start()
        for state in (State.BACKING_OFF, State.UNAVAILABLE, State.CONNECTING):
            wait_until(partial(stands_at, state))
            if state is State.CONNECTING:
                wait_until(lambda: len(gateway.accepted) == 3)
            seen.append((state, client.reading().status))
        holds.set()
    assert seen == [
        (State.BACKING_OFF, HealthStatus.FALLBACK),
        (State.UNAVAILABLE, HealthStatus.UNHEALTHY),
        (State.CONNECTING, HealthStatus.UNHEALTHY),
    ]
