"""Forks while everything is busy: nothing hangs, nothing is shared, every count is exact."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.running import run
from tests.servers import PostgresServer, RedisServer

STORM = """
import json
import logging
import os
import sys
import threading
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from bootstrap import bootstrap

FORKS, FOLDER = int(sys.argv[1]), Path(sys.argv[2])
ERRORS = 10
services = bootstrap(Flask(__name__), start=True)
log = logging.getLogger("storm")
ended, backends, counts = threading.Event(), set(), []


def backend():
    with services.engine.connect() as connection:
        return connection.execute(text("SELECT pg_backend_pid()")).scalar()


def busy(number):
    rounds = 0
    while not ended.is_set():
        log.error("the storm goes on")
        backends.add(backend())
        services.cache.set(f"key-{number}", rounds)
        assert services.cache.get(f"key-{number}") == rounds
        rounds += 1
    counts.append(rounds)


def child():
    begun = services.errors.statistics()["seen"]
    for _ in range(ERRORS):
        log.error("the storm goes on")
    services.cache.set(f"child-{os.getpid()}", 1)
    found = {"begun": begun, "seen": services.errors.statistics()["seen"], "backend": backend()}
    (FOLDER / f"{os.getpid()}.json").write_text(json.dumps(found))
    services.close()
    os._exit(0)


threads = [threading.Thread(target=busy, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
before = services.errors.statistics()["seen"]
for _ in range(FORKS):
    pid = os.fork()
    if pid == 0:
        try:
            child()
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
ended.set()
for thread in threads:
    thread.join()
statistics = services.errors.statistics()
services.close()
(FOLDER / "parent.json").write_text(
    json.dumps({"rounds": sum(counts), "statistics": statistics, "backends": sorted(backends), "pid": os.getpid()})
)
"""


def _said(output: str, pid: int) -> int:
    """Return how many errors the lines and summaries of one process tell of together."""
    records = [json.loads(line) for line in output.splitlines() if "storm goes on" in line]
    return sum(_told(record) for record in records if record["pid"] == pid)


def _told(record: dict[str, Any]) -> int:
    """Return how many errors one line of the log stands for."""
    repeated = record.get("repeated")
    if repeated is None:
        return 1
    return int(repeated["suppressed"]) if repeated["event"] == "summary" else 0


@pytest.mark.parametrize("forks", [12, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
def test_a_fork_storm_shares_and_loses_nothing(
    forks: int, tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    """Each child ends, has a database connection of its own, and counts from zero; all counts add up."""
    (tmp_path / "storm.py").write_text(STORM)
    folder = tmp_path / "found"
    folder.mkdir()
    command = [sys.executable, "storm.py", str(forks), str(folder)]
    services = {"DATABASE_URL": postgres.new_database(), "REDIS_URL": redis_server.url(), "DATABASE_POOL_SIZE": "8"}
    done = run(command, tmp_path, seconds=500, LOG_FORMAT="json", LOG_LEVEL="INFO", **services)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    parent = json.loads((folder / "parent.json").read_text())
    children = {int(path.stem): json.loads(path.read_text()) for path in folder.iterdir() if path.stem.isdigit()}
    assert len(children) == forks
    assert {(each["begun"], each["seen"]) for each in children.values()} == {(0, 10)}
    own = {each["backend"] for each in children.values()}
    assert len(own) == forks
    assert not own & set(parent["backends"])
    statistics = parent["statistics"]
    assert statistics["seen"] == statistics["logged"] + statistics["suppressed"]
    assert _said(done.stdout, parent["pid"]) == parent["rounds"]
    assert {_said(done.stdout, pid) for pid in children} == {10}
