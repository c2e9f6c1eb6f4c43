"""Probes, metrics and terminal of a real service: gunicorn over real PostgreSQL and Redis."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from tests.end_to_end.status_service import BEARER
from tests.running import SCRIPTS, Running, gunicorn, run, serving
from tests.servers import PostgresServer, RedisServer, wait_until


def test_the_terminal_speaks_for_the_fleet(fleet: Running, folder: Path, settings: dict[str, Any]) -> None:
    """The command knows the serving processes, exits 0 when all is well and 1 when something is degraded."""
    wait_until(lambda: "3 processes" in fleet.ask("/status", headers=BEARER).text, what="three processes")
    command = [str(SCRIPTS / "flask"), "--app", "wsgi", "bootstrap", "status"]
    text = run(command, folder, **settings)
    assert (text.returncode, "3 serving processes on 1 machine" in text.stdout) == (0, True), text
    body = json.loads(run([*command, "--format", "json"], folder, **settings).stdout)
    assert (body["verdict"], len(body["processes"])) == ("pass", 3)
    degraded = run(command, folder, **{**settings, "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (degraded.returncode, "Degraded: cache" in degraded.stdout) == (1, True), degraded


def test_the_terminal_without_a_database(folder: Path, settings: dict[str, Any]) -> None:
    """A database that cannot be used is exit status 3, with cause and fix and without a traceback."""
    command = [str(SCRIPTS / "flask"), "--app", "wsgi", "bootstrap", "status"]
    changed = {"DATABASE_URL": "postgresql://app:pass%20word@127.0.0.1:1/x", "DATABASE_WAIT": "0"}
    done = run(command, folder, **{**settings, **changed})
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done
    assert "pass" not in done.stdout + done.stderr.replace("bypass", "")


def test_probes_answer_within_a_second_while_everything_is_frozen(
    folder: Path, settings: dict[str, Any], own_postgres: PostgresServer, own_redis: RedisServer
) -> None:
    """With PostgreSQL and Redis frozen, /livez is 200 and /readyz 503, each within a second; later all is well."""
    frozen = {**settings, "DATABASE_URL": own_postgres.new_database(), "REDIS_URL": own_redis.url()}
    with serving(gunicorn("wsgi:app", workers=1), folder, **frozen) as running:
        wait_until(lambda: running.ask("/readyz").status == 200, what="readiness")
        with own_postgres.frozen(), own_redis.frozen():
            wait_until(lambda: running.ask("/readyz").status == 503, what="unreadiness")
            for path, status in [("/livez", 200), ("/readyz", 503), ("/healthz", 503)]:
                begin = time.monotonic()
                assert running.ask(path).status == status
                assert time.monotonic() - begin < 1 + 0.5  # of slack
            page = running.ask("/status", headers=BEARER)
            assert "Down: database" in page.text
        wait_until(lambda: running.ask("/readyz").status == 200, what="readiness again")
        _ask_once_when_it_matters(running, own_postgres)


def _ask_once_when_it_matters(running: Running, own_postgres: PostgresServer) -> None:
    """Ask in a quiet second of a process: its first answer is already that of now, not one that was kept for long."""
    for _ in range(2):  # the second is asked of a database that was quick the last time
        time.sleep(1.1)
        assert running.ask("/readyz").status == 200
    own_postgres.kill()
    time.sleep(1.1)
    assert running.ask("/readyz").status == 503
    own_postgres.start()
    time.sleep(1.1)
    assert running.ask("/readyz").status == 200


def test_a_storm_of_probes_makes_no_connection_each(
    folder: Path, settings: dict[str, Any], postgres: PostgresServer
) -> None:
    """Three hundred probes cost the database a handful of statements and no session more than before."""
    name = str(settings["DATABASE_URL"]).rpartition("/")[2]
    count = "SELECT sessions FROM pg_stat_database WHERE datname = %s"
    with serving(gunicorn("wsgi:app", "-k", "gthread", "--threads", "8", workers=1), folder, **settings) as running:
        wait_until(lambda: running.ask("/readyz").status == 200, what="readiness")
        running.ask("/status", headers=BEARER)
        time.sleep(1.5)  # the statistics of PostgreSQL are told once a second
        before = postgres.query(count, name)[0][0]
        callers = [threading.Thread(target=lambda: [running.ask("/readyz") for _ in range(50)]) for _ in range(6)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        time.sleep(1.5)
        after = postgres.query(count, name)[0][0]
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after - before < 20
