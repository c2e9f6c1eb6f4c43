"""Other processes: forked ones, and those that have no Redis at all."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from settings.probe import HealthStatus
from tests.cache.conftest import MakeCache, is_away
from tests.proxy import TcpProxy
from tests.servers import RedisServer, free_port, wait_until

FORKING = """
import os, sys, time
from flask import Flask
from settings.cache.backend import build_cache
from settings.cache.model import CacheSettings, RedisSettings

cache = build_cache(RedisSettings(url=sys.argv[1]), CacheSettings(retry_after=0.2))
cache.init_app(Flask("fork"))
cache.set("key", "parent")
outage = sys.argv[2] == "outage"
if outage:
    os.kill(int(sys.argv[3]), 9)
    cache.set("key", "late")
    cache.delete("other")
pid = os.fork()
who = "parent" if pid else "child"
if outage:
    assert cache.figures()["keys_to_purge"] == 2
    while cache.figures()["mode"] != "redis":
        cache.get("key")
        time.sleep(0.02)
    assert cache.figures()["purged_keys"] == 2
for n in range(200):
    cache.set(f"{who}:{n}", n)
    assert cache.get(f"{who}:{n}") == n
assert cache.figures()["hits"] >= 200
assert pid or cache.figures()["hits"] <= 1000
print(who, flush=True)
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
cache.close()
os._exit(0)
"""


@pytest.mark.parametrize("state", ["well", "outage"])
def test_a_forked_child_has_connections_and_probes_of_its_own(own_redis: RedisServer, state: str) -> None:
    """Parent and child both use Redis after a fork, and both return to it from an outage that they share."""
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING, own_redis.url(), state, str(own_redis.pid)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    if state == "outage":
        assert own_redis.process is not None
        own_redis.process.wait(20)
        own_redis.start()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert sorted(said.split()) == ["child", "parent"]


LISTENING = """
import sys
attempts = []
NETWORK = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: attempts.append(args) if event in NETWORK else None)
from flask import Flask
from settings.cache.backend import build_cache
from settings.cache.model import CacheSettings, RedisSettings

app = Flask("none")
cache = build_cache(RedisSettings(), CacheSettings())
cache.init_app(app)
cache.set("key", 1), cache.get("key"), cache.cache.get_many("key"), cache.inc("key"), cache.clear()
print(cache.ping().status.value, cache.figures()["mode"], len(attempts), "redis" in sys.modules)
cache.close()
"""


def test_without_redis_url_no_connection_is_attempted(proxy: TcpProxy) -> None:
    """A listener in the place of Redis and an ear at every socket count zero, and redis is not even imported."""
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": ".", "REDIS_PORT": str(proxy.port), "REDIS_HOST": "127.0.0.1"},
    )  # fmt: skip
    assert done.stdout.split() == ["disabled", "in-process", "0", "False"]
    assert proxy.accepted == 0


@pytest.mark.parametrize("away", [False, True])
def test_both_sides_of_a_fork_go_on(make_cache: MakeCache, redis_server: RedisServer, away: bool) -> None:
    """The parent keeps its counts, the child keeps mode and entries and counts from zero; neither holds a lock."""
    cache = make_cache(f"redis://127.0.0.1:{free_port()}/0" if away else redis_server.url())
    cache.set("key", 1)
    cache.get("key")
    cache.before_fork()
    cache.after_fork_in_parent()
    assert cache.figures()["hits"] == 1
    assert cache.get("key") == 1
    cache.before_fork()
    cache.after_fork_in_child()
    assert (cache.figures()["hits"], cache.figures()["outages"]) == (0, 0)
    assert cache.figures()["mode"] == ("fallback" if away else "redis")
    assert cache.get("key") == 1
    assert cache.set("key", 2)


@pytest.mark.parametrize("operation", ["get", "set"])
def test_a_process_without_threads_probes_all_the_same(
    make_cache: MakeCache, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Where no thread can be started, a caller asks Redis when a probe is overdue."""
    cache = make_cache(own_redis.url(), retry_after=0.05)
    own_redis.kill()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    cache.set("key", 1)
    own_redis.start()

    def returned() -> bool:
        cache.get("key") if operation == "get" else cache.set("key", 1)
        return not is_away(cache)

    wait_until(returned, seconds=10)
    assert cache.set("key", 2)
    assert own_redis.client().get("app:key") == b"2"


def test_a_ping_makes_a_probe_that_is_overdue(
    make_cache: MakeCache, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The health check of an idle process asks Redis when nobody else did."""
    cache = make_cache(own_redis.url(), retry_after=0.05)
    own_redis.kill()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _thread: None)
        assert cache.ping().status is HealthStatus.FALLBACK
    own_redis.start()
    wait_until(lambda: cache.ping().status is HealthStatus.HEALTHY, seconds=10)
