"""The shop in its world: gunicorn, PostgreSQL, Redis and a WebSocket gateway, under load, with faults at will."""

import os
import random
import shutil
import signal
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Self

from tests.running import Answer, Running, ask, gunicorn
from tests.servers import PostgresServer, RedisServer, wait_until
from tests.websocket.gateway import Gateway

SHOP = Path(__file__).parent / "shop"
TOKEN = {"Authorization": "Bearer let-me-see-the-page"}


class Load:
    """Threads that use the shop as its customers do, and remember what they were told.

    Attributes:
        accepted: Numbers of the orders that were confirmed.
        answers: How often each (path, status) came.
        wrong: Answers that no customer should ever get.
        refused: Requests that nothing answered.
        slowest: Seconds of the slowest answer by path.
    """

    def __init__(self, url: str, *, threads: int = 4, pause: float = 0.06) -> None:
        self._url, self._pause = url, pause
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]
        self._lock = threading.Lock()
        self.accepted: list[int] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.refused: list[str] = []
        self.slowest: dict[str, float] = {}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        while not self._ended.is_set():
            path = chance.choice(["/orders", "/orders", "/price", "/price", "/livez"])
            self._ask(path, "POST" if path == "/orders" and chance.random() < 0.5 else "GET")
            self._ended.wait(self._pause)

    def _ask(self, path: str, method: str) -> None:
        begin = time.monotonic()
        try:
            answer = ask(f"{self._url}{path}", method=method, timeout=30)
        except (OSError, HTTPException) as error:
            with self._lock:
                self.refused.append(f"{path}: {error!r}")
            return
        with self._lock:
            self._note(path, method, answer, time.monotonic() - begin)

    def _note(self, path: str, method: str, answer: Answer, seconds: float) -> None:
        self.answers[path, answer.status] += 1
        self.slowest[path] = max(seconds, self.slowest.get(path, 0.0))
        if answer.status == 201:
            self.accepted.append(int(answer.json()["id"]))
        elif answer.status >= 500 and not (path == "/orders" and '"database"' in answer.text):
            self.wrong.append(f"{method} {path}: {answer.status} {answer.text[:200]}")


class World:
    """The shop and all that it needs, each to be killed, frozen and restarted.

    Args:
        folder: Working directory of the shop.
        options: Further options of gunicorn's.
        variables: Further environment variables.
    """

    def __init__(self, folder: Path, *options: str, workers: int = 4, **variables: object) -> None:
        self.postgres, self.redis, self.gateway = PostgresServer().start(), RedisServer().start(), Gateway()
        self.database = self.postgres.new_database()
        self.migrations = Path(shutil.copytree(SHOP / "migrations", folder / "migrations"))
        command = gunicorn("wsgi:app", "--chdir", str(SHOP), *options, workers=workers)
        self.shop = Running(command, folder=folder, variables={**self._variables(), **variables})
        self.shop.start()

    def _variables(self) -> dict[str, object]:
        return {
            "APP_ENV": "production", "APP_NAME": "shop", "APP_SECRET_KEY": "not-a-secret", "LOG_LEVEL": "INFO",
            "DATABASE_URL": self.database, "DATABASE_TIMEOUT": 3, "DATABASE_CONNECT_TIMEOUT": 2,
            "DATABASE_POOL_TIMEOUT": 3, "REDIS_URL": self.redis.url(), "CACHE_RETRY_AFTER": 1,
            "WS_URL": self.gateway.url, "WS_RETRY_DELAY": 0.2, "WS_RETRY_MAX_DELAY": 1, "WS_COOLDOWN": 1,
            "WORKERS_HEALTH_INTERVAL": 2, "WORKERS_GRACE": 2, "STATUS_TOKEN": "let-me-see-the-page",
            "LOG_SUMMARY_INTERVAL": 5, "SHOP_MIGRATIONS": self.migrations,
        }  # fmt: skip

    def rows(self, statement: str) -> Sequence[tuple[object, ...]]:
        """Return the rows of a query on the shop's database."""
        return self.postgres.query(statement, database=urllib.parse.urlsplit(self.database).path[1:])

    def health(self) -> str:
        """Return the worst word of /healthz."""
        try:
            return str(self.shop.ask("/healthz", headers=TOKEN).json()["status"])
        except (OSError, HTTPException, ValueError):
            return "unreachable"

    def all_well(self, *, seconds: float = 30) -> float:
        """Wait until several answers in a row, from whatever processes, say `pass`; return how long it took."""

        def well() -> bool:
            return all(self.health() == "pass" for _ in range(8))

        what = f"all green, not {self.shop.ask('/healthz', headers=TOKEN).text}"
        return wait_until(well, seconds=seconds, what=what, every=0.1)

    def replace_gateway(self) -> None:
        """Start a gateway on the port of the one that is gone."""
        self.gateway = Gateway(port=self.gateway.port)

    def kill_a_worker(self, chance: random.Random) -> None:
        """End one of gunicorn's workers with SIGKILL."""
        if children := self.shop.children():
            os.kill(chance.choice(children), signal.SIGKILL)

    def close(self) -> None:
        """Stop everything."""
        for stop in (self.shop.close, self.gateway.close, self.redis.close, self.postgres.close):
            stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def faults(world: World, chance: random.Random) -> dict[str, dict[str, Callable[[], None]]]:
    """Return what can happen to each part of the world, by name; each fault returns when it is over."""

    def frozen(server: PostgresServer | RedisServer, seconds: float) -> None:
        with server.frozen():
            time.sleep(seconds)

    def gone(server: PostgresServer | RedisServer, seconds: float) -> None:
        server.kill()
        time.sleep(seconds)
        server.start()

    def terminated() -> None:
        world.postgres.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname <> 'postgres'"
        )

    def gateway_gone() -> None:
        world.gateway.close()
        time.sleep(chance.uniform(0.5, 2))
        world.replace_gateway()

    return {
        "redis": {
            "redis killed": lambda: gone(world.redis, chance.uniform(0.2, 2)),
            "redis frozen": lambda: frozen(world.redis, chance.uniform(0.5, 2)),
        },
        "postgres": {
            "postgres killed": lambda: gone(world.postgres, chance.uniform(0.2, 2)),
            "postgres frozen": lambda: frozen(world.postgres, chance.uniform(0.5, 4)),
            "connections terminated": terminated,
        },
        "gateway": {"gateway gone": gateway_gone},
        "shop": {"worker killed": lambda: world.kill_a_worker(chance)},
    }
