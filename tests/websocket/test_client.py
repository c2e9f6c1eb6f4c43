"""The client against a real gateway."""

import pytest

from settings.probe import HealthStatus
from settings.websocket.machine import State
from settings.websocket.outbox import Delivery
from tests.websocket.clients import Make, account_balances
from tests.websocket.gateway import Gateway, wait_until


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
