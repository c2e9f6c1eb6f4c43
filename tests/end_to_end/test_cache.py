"""The site under load while Redis is killed, comes back, freezes and thaws: nobody notices, nothing stale returns."""

import http.client
import itertools
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.running import Running, gunicorn, serving
from tests.servers import RedisServer, wait_until

WSGI = """
import os

from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)
cache = services.cache


@app.get("/page/<int:n>")
def page(n):
    text = cache.get(f"page:{n}")
    if text is None:
        text = f"page {n}"
        cache.set(f"page:{n}", text, timeout=1)
    return {"pid": os.getpid(), "mode": cache.figures()["mode"], "doomed": cache.get("doomed"), "text": text}


@app.post("/delete/<key>")
def delete(key):
    cache.delete(key)
    return {"pid": os.getpid()}
"""
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
WORKERS = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """One request.

    Attributes:
        at: When it was sent, on the monotonic clock.
        milliseconds: Until its answer was read.
        status: HTTP status; 0 when there was no answer.
        said: What the page said of its worker.
    """

    at: float
    milliseconds: float
    status: int
    said: dict[str, object]

    @property
    def answered(self) -> float:
        """When its answer was read."""
        return self.at + self.milliseconds / 1000


class Load:
    """Requests at a steady rate, from as many threads as it takes, for the length of a with block."""

    def __init__(self, port: int, *, rate: int) -> None:
        self._port, self._rate = port, rate
        self._numbers = itertools.count()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(24)]
        self.seen: list[Seen] = []

    def __enter__(self) -> Self:
        self._begin = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def between(self, begin: float, end: float) -> list[Seen]:
        """Return the requests that were sent in a span of time."""
        return [each for each in self.seen if begin <= each.at < end]

    def within(self, begin: float, end: float) -> list[Seen]:
        """Return those that were answered in it, too: what they say is of that time."""
        return [each for each in self.between(begin, end) if each.answered < end]

    def _run(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers)
            if self._stop.wait(max(0.0, self._begin + number / self._rate - time.monotonic())):
                return
            self.seen.append(self._ask(number))

    def _ask(self, number: int) -> Seen:
        begin, status, said = time.monotonic(), 0, dict[str, object]()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", f"/page/{number % 20}")
            response = connection.getresponse()
            status, body = response.status, response.read()
            said = json.loads(body) if status == 200 else {"body": body}
        except OSError as error:
            said = {"error": repr(error)}
        finally:
            connection.close()
        return Seen(begin, (time.monotonic() - begin) * 1000, status, said)


def p99(seen: list[Seen]) -> float:
    """Return the 99th percentile of the latencies, in milliseconds."""
    ordered = sorted(each.milliseconds for each in seen)
    return ordered[math.ceil(len(ordered) * 0.99) - 1]


def lines_by_worker(running: Running) -> dict[int, list[dict[str, object]]]:
    """Return the log lines of each worker, but for those of its boot."""
    lines = [json.loads(line) for line in running.output().splitlines() if line.startswith("{")]
    return {pid: [line for line in lines if line["pid"] == pid] for pid in running.children()}


@dataclass(frozen=True, slots=True)
class Outage:
    """The moments of one outage, on the monotonic clock.

    Attributes:
        before: From here on all was well.
        gone: Redis went.
        starts: It was told to come back.
        back: It was there again.
        end: Until here the site was watched.
    """

    before: float
    gone: float
    starts: float
    back: float
    end: float

    def check(self, load: Load, *, retry_after: float, slack_milliseconds: float) -> None:
        """Hold the promises of an outage: steady, in use again in time, nothing stale beyond the bound."""
        assert {each.said["doomed"] for each in load.within(self.before + 0.1, self.gone)} == {8}
        away = load.between(self.gone + 1, self.starts)
        assert {each.said["mode"] for each in load.within(self.gone + 1, self.starts)} == {"fallback"}
        assert p99(away) <= p99(load.between(self.before, self.gone)) + slack_milliseconds
        settled = load.within(self.back + retry_after + 1, self.end)
        assert {each.said["mode"] for each in settled} == {"redis"}
        assert {each.said["doomed"] for each in settled} == {None}


class Site:
    """The application under gunicorn and load, its Redis, and how long each phase of an outage is watched."""

    def __init__(self, running: Running, load: Load, redis: RedisServer, *, phase: float, retry_after: float) -> None:
        self._running, self._load, self._redis = running, load, redis
        self._phase, self._retry_after = phase, retry_after

    def go_through(self, ends: Callable[[], object], returns: Callable[[], object]) -> Outage:
        """Take Redis away, delete a key meanwhile, bring Redis back, and watch until long after."""
        self._redis.client().set("app:doomed", "8")
        before = time.monotonic()
        time.sleep(self._phase)
        gone = time.monotonic()
        ends()
        time.sleep(self._phase / 2)
        assert self._running.ask("/delete/doomed", method="POST").status == 200
        time.sleep(self._phase / 2 + 1)
        starts = time.monotonic()
        returns()
        back = time.monotonic()
        time.sleep(self._retry_after + 1 + self._phase)
        return Outage(before, gone, starts, back, time.monotonic())


@pytest.mark.parametrize(
    ("rate", "phase", "retry_after", "slack_milliseconds"),
    [
        pytest.param(40, 1.0, 0.5, 400, id="small"),
        pytest.param(100, 9.0, 2.0, 50, id="full", marks=[pytest.mark.full, pytest.mark.timeout(300)]),
    ],
)
def test_the_site_stays_up_when_redis_does_not(
    tmp_path: Path, own_redis: RedisServer, rate: int, phase: float, retry_after: float, slack_milliseconds: float
) -> None:
    """Under gunicorn and load Redis is killed and comes back, freezes and thaws: no 5xx, no wait, nothing stale."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    own_redis.restart(*DURABLE)
    variables = {"REDIS_URL": own_redis.url(), "CACHE_RETRY_AFTER": retry_after, "LOG_FORMAT": "json"}
    with serving(gunicorn("wsgi:app", workers=WORKERS), tmp_path, LOG_LEVEL="INFO", **variables) as running:
        with Load(running.port, rate=rate) as load:
            wait_until(lambda: len({each.said.get("pid") for each in load.seen}) == WORKERS)
            site = Site(running, load, own_redis, phase=phase, retry_after=retry_after)
            killed = site.go_through(own_redis.kill, lambda: own_redis.start(*DURABLE))
            frozen = site.go_through(own_redis.freeze, own_redis.thaw)
        workers = lines_by_worker(running)
    assert {each.status for each in load.seen} == {200}
    for outage in (killed, frozen):
        outage.check(load, retry_after=retry_after, slack_milliseconds=slack_milliseconds)
    assert len(workers) == WORKERS
    for lines in workers.values():
        said = [(line["level"], line["logger"]) for line in lines if "Redis" in str(line["message"])]
        assert said == [("WARNING", "settings.cache.failover"), ("INFO", "settings.cache.failover")] * 2
        assert len([line for line in lines if line["level"] in ("WARNING", "ERROR")]) <= 3 + 3


def test_what_a_dead_worker_deleted_is_served_until_its_time_out(tmp_path: Path, own_redis: RedisServer) -> None:
    """A worker that deletes in an outage and is killed before Redis is back purges nothing: the time-out does."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    own_redis.restart(*DURABLE)
    variables = {"REDIS_URL": own_redis.url(), "CACHE_RETRY_AFTER": 0.5}
    with serving(gunicorn("wsgi:app", workers=WORKERS), tmp_path, **variables) as running:

        def doomed() -> object:
            return running.ask("/page/1").json()["doomed"]

        own_redis.client().set("app:doomed", "8", ex=600)
        own_redis.kill()
        os.kill(running.ask("/delete/doomed", method="POST").json()["pid"], signal.SIGKILL)
        own_redis.start(*DURABLE)
        wait_until(lambda: doomed() == 8)
        assert own_redis.client().pexpire("app:doomed", 1)
        wait_until(lambda: not own_redis.client().exists("app:doomed"))
        assert {doomed() for _ in range(3 * WORKERS)} == {None}
