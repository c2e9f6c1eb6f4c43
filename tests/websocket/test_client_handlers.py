"""What comes in from a real gateway, and who is called."""

import threading
from collections.abc import Callable

import pytest
from flask import Flask, has_app_context

from settings.websocket.dispatcher import MAX_WAITING
from settings.websocket.machine import State
from tests.websocket.clients import Make, lines
from tests.websocket.gateway import Gateway, wait_until


def test_handlers_get_the_payload_of_their_event(make: Make, gateway: Gateway) -> None:
    """Every handler of an event is called, in order, and none of another event."""
    client, got = make(gateway.url), list[object]()
    client.on("price", got.append)
    client.on("other", lambda _: got.append("wrong"))
    client.start()
    wait_until(lambda: gateway.connections)
    gateway.broadcast('{"event": "price", "payload": {"eur": 3}}')
    gateway.broadcast('{"event": "price"}')
    wait_until(lambda: len(got) == 2)
    assert got == [{"eur": 3}, None]


def test_each_handler_has_a_payload_of_its_own(make: Make, gateway: Gateway) -> None:
    """What one does to it, at once or later, is nothing to the next."""
    client, got = make(gateway.url), list[dict[str, object]]()

    def changes(payload: dict[str, object]) -> None:
        payload.clear()
        got.append(payload)

    client.on("price", changes)
    client.on("price", got.append)
    client.on("price", changes)
    client.start()
    wait_until(lambda: gateway.connections)
    gateway.broadcast('{"event": "price", "payload": {"eur": [3]}}')
    wait_until(lambda: len(got) == 3)
    assert got == [{}, {"eur": [3]}, {}]
    assert client.figures()["received"] == 1


def test_handlers_run_in_the_application_context_and_may_fail(
    make: Make, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Handlers and callbacks go through `run_in_context`; one that raises harms nothing."""
    app, seen = Flask("app"), list[object]()

    def run_in_context(function: Callable[..., object], *args: object) -> object:
        with app.app_context():
            return function(*args)

    def fails(payload: object) -> None:
        raise ValueError(payload)

    client = make(gateway.url, run_in_context=run_in_context)
    client.on("e", fails)
    client.on("e", lambda payload: seen.append((payload, has_app_context())))
    client.on_change(lambda change: seen.append((change.state, has_app_context())))
    client.start()
    wait_until(lambda: gateway.connections)
    gateway.broadcast('{"event": "e", "payload": 1}')
    gateway.broadcast('{"event": "e", "payload": 2}')
    wait_until(lambda: len(seen) == 4)
    assert seen == [(State.CONNECTING, True), (State.CONNECTED, True), (1, True), (2, True)]
    assert client.figures()["handler_failures"] == 2
    assert client.state is State.CONNECTED
    assert [record.levelname for record in lines(caplog)] == ["ERROR", "ERROR"]


def test_a_handler_that_hangs_holds_neither_the_connection_nor_the_callers(make: Make, gateway: Gateway) -> None:
    """While a handler hangs, pings are answered, events are sent, and what comes in is bounded and counted."""
    free, hanging = threading.Event(), threading.Event()

    def hangs(_: object) -> None:
        hanging.set()
        free.wait(20)

    client = make(gateway.url)
    client.on("e", hangs)
    client.start()
    wait_until(lambda: gateway.connections)
    gateway.broadcast('{"event": "e"}')
    assert hanging.wait(10)
    for _ in range(MAX_WAITING + 50):
        gateway.broadcast('{"event": "e"}')
    wait_until(lambda: client.figures()["handlers_lost"] == 50)
    [connection] = gateway.connections
    assert connection.ping().wait(10)
    client.send("still")
    wait_until(lambda: gateway.events() == ["still"])
    assert client.figures()["attempts"] == 1
    free.set()


def test_garbage_is_ignored_and_counted(make: Make, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Messages that are no events cost one line and harm nothing."""
    client, got = make(gateway.url), list[object]()
    client.on("e", got.append)
    client.start()
    wait_until(lambda: gateway.connections)
    for garbage in ("nonsense", "[]", '{"event": 1}', b"\x00\xff", "[" * 50_000):
        gateway.broadcast(garbage)
    gateway.broadcast(b'{"event": "e", "payload": "fine"}')
    wait_until(lambda: got == ["fine"])
    assert (client.figures()["ignored"], client.figures()["received"]) == (5, 1)
    assert [record.getMessage() for record in lines(caplog) if record.levelname == "WARNING"] == [
        "WebSocket messages that are no events are ignored and counted [websocket-no-event]"
    ]
