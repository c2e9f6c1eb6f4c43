"""How a connection is kept alive: frozen and deaf peers are noticed in time, live ones are left alone."""

import socket
import threading
import time

import pytest
from websockets.sync.server import ServerConnection

from settings.websocket.machine import State
from tests.proxy import TcpProxy
from tests.websocket.clients import Make, account_balances
from tests.websocket.gateway import Gateway, RawGateway, upgrade, wait_until


@pytest.mark.parametrize("proxied", [True, False], ids=["frozen network", "frozen gateway"])
def test_a_frozen_peer_is_noticed_in_time(make: Make, gateway: Gateway, proxy: TcpProxy, proxied: bool) -> None:
    """Within WS_PING_INTERVAL + WS_PING_TIMEOUT + 1 s a peer that answers nothing counts as lost."""
    interval, timeout, earlier = 0.3, 0.3, set(threading.enumerate())
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
    wait_until(lambda: not any("(_serve)" in each.name for each in threading.enumerate() if each not in earlier))


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
