"""Other processes: forked ones, and those that have no Redis at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy import TcpProxy
from tests.servers import RedisServer

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
