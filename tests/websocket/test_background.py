"""The background thread, and what a fork does to it: seen in real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from settings.probe import HealthStatus
from settings.websocket.background import Background
from settings.websocket.client import Change
from settings.websocket.machine import State
from tests.websocket.clients import Make, lines
from tests.websocket.gateway import Gateway, wait_until

HOUSE = Path(__file__).parents[2]

FORKED = """
import json, os, sys, time
from settings.websocket.client import WebSocketClient
from settings.websocket.model import WebSocketSettings

def until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)

client = WebSocketClient(WebSocketSettings.model_validate({"url": sys.argv[1]}), app_name="shop")
client.start()
client.send("parent", 1)
until(lambda: client.figures()["sent"] == 1)
"""

CHILD_CONNECTS = (
    FORKED
    + """
child = os.fork()
figures = [dict(client.figures())]
if child == 0:
    client.start()
    client.send("child", 2)
    until(lambda: client.figures()["sent"] == 1)
    figures.append(dict(client.figures()))
    client.close()
    print(json.dumps(figures), flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
client.send("parent", 3)
until(lambda: client.figures()["sent"] == 2)
client.close()
sys.exit(status)
"""
)

PARENT_DIES = (
    FORKED
    + """
child = os.fork()
if child == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
os.kill(os.getpid(), 9)
"""
)


def run(script: str, url: str) -> subprocess.Popen[str]:
    """Run a script in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True, cwd=HOUSE)


def test_a_forked_child_has_a_connection_of_its_own_and_leaves_the_parents_alone(gateway: Gateway) -> None:
    """The child starts at zero without a connection, makes its own, and the parent's goes on."""
    with run(CHILD_CONNECTS, gateway.url) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    at_first, at_last = json.loads(output)
    assert (at_first["state"], at_first["calls"], at_first["attempts"]) == ("disabled", 0, 0)
    assert (at_last["calls"], at_last["sent"], at_last["connections"]) == (1, 1, 1)
    wait_until(lambda: len(gateway.messages) == 3)
    assert sorted(gateway.events()) == ["child", "parent", "parent"]  # two connections have no order between them
    assert len(gateway.attempts) == 2


def test_the_gateway_notices_that_a_parent_has_died_while_its_child_lives(gateway: Gateway) -> None:
    """A child that does not serve holds no connection, not even its parent's."""
    with run(PARENT_DIES, gateway.url) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            assert process.wait(30) == -signal.SIGKILL
            wait_until(lambda: not gateway.connections)
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_fault_of_the_threads_own_is_logged_and_seen(
    make: Make, gateway: Gateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that ends by a mistake of ours says so in log, health and `on_change`, and the process goes on."""

    async def broken(self: Background, url: str) -> None:
        raise LookupError("a mistake")

    monkeypatch.setattr(Background, "_keep", broken)
    client, told = make(gateway.url), list[Change]()
    client.on_change(told.append)
    client.start()
    wait_until(lambda: told)
    [record] = lines(caplog)
    assert (client.reading().status, client.reading().code) == (HealthStatus.UNHEALTHY, "websocket-thread-failed")
    assert told[0].state is State.UNAVAILABLE
    assert "[websocket-thread-failed]" in record.getMessage()
    assert record.exc_info is not None


def test_a_close_right_after_a_start_ends_the_thread(make: Make, gateway: Gateway) -> None:
    """However early it comes, no thread is left behind."""
    for _ in range(5):
        client = make(gateway.url)
        client.start()
        client.close()
        assert client.state is State.DISABLED
    assert not [each for each in threading.enumerate() if each.name == "websocket"]
