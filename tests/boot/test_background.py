"""What the boot gives to the background work: bounded questions to the database, one voice for each service."""

import logging
import threading
import time
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bootstrap import bootstrap
from settings import load_settings
from settings.probe import HealthStatus
from tests.servers import PostgresServer, free_port, wait_until


def test_no_part_waits_for_ever_for_a_frozen_database(
    own_postgres: PostgresServer, working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims, health, alerts and the cleanup give up and say so, each in its time; here all of it is short."""
    monkeypatch.setattr("settings.database.claims.LONGEST_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("settings.database.snapshots.LONGEST_WRITE_SECONDS", 0.3)
    monkeypatch.setattr("settings.database.alerts.LONGEST_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("settings.database.retention.LONGEST_BATCH_SECONDS", 0.3)
    with bootstrap(
        Flask(__name__), settings=load_settings(environ={"DATABASE_URL": own_postgres.new_database()})
    ) as up:
        own_postgres.freeze()
        for question in (
            lambda: up.claims.next_in("job"),
            lambda: up.snapshots.write("me", "here", 1, {}),
            lambda: up.alerts.resolve_stale("latency", 60),
            up.retention.run,
        ):
            begin = time.monotonic()
            with pytest.raises(DBAPIError):
                question()
            assert time.monotonic() - begin < 3  # libpq counts a connect in whole seconds, two at the least
        own_postgres.thaw()


@pytest.mark.parametrize("kind", ["file", "postgresql"])
def test_lease_is_kept_while_the_job_has_the_only_connection(
    kind: str, request: pytest.FixtureRequest, working_directory: Path
) -> None:
    """A job that reads for long keeps its place in the pool, and its run is not another's for that."""
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else "sqlite:///app.db"
    environ = {"DATABASE_URL": url, "DATABASE_POOL_SIZE": "1", "DATABASE_MAX_OVERFLOW": "0"}
    with bootstrap(Flask(__name__), settings=load_settings(environ={**environ, "DATABASE_POOL_TIMEOUT": "0.1"})) as up:
        claim = up.claims.claim("job", every=60)
        assert claim is not None
        with up.database.session() as session:
            session.execute(text("SELECT count(*) FROM worker_runs")).scalar_one()
            assert claim.heartbeat()
        claim.finish("ok", 1)


def test_cleanup_knows_how_often_a_process_tells_of_itself(working_directory: Path) -> None:
    """A process that writes each two hours is not dead after three."""
    with bootstrap(Flask(__name__), settings=load_settings(environ={"WORKERS_HEALTH_INTERVAL": "7200"})) as up:
        up.snapshots.write("me", "here", 1, {})
        with up.engine.begin() as connection:
            connection.execute(text("UPDATE process_snapshots SET written_at = written_at - 10800"))
        assert up.retention.run()["process_snapshots"] == 0


def test_no_probe_waits_for_good(own_postgres: PostgresServer, working_directory: Path) -> None:
    """Each question to a frozen database ends by itself: else nobody would ask on a connection that works."""
    settings = load_settings(environ={"DATABASE_URL": own_postgres.new_database()})
    with bootstrap(Flask(__name__), settings=settings) as services:
        assert services.health.refresh()["migrations"].status is HealthStatus.HEALTHY
        own_postgres.freeze()
        assert services.health.refresh()["migrations"].status is HealthStatus.UNHEALTHY
        wait_until(lambda: all(each.name != "health-probe" for each in threading.enumerate()), seconds=15)
        own_postgres.thaw()
        assert services.health.refresh()["migrations"].status is HealthStatus.HEALTHY


def test_dead_broker_is_one_line(working_directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Calls are refused, health says so, and one line in the log, not one of each."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings = load_settings(environ={"WORKERS_ENGINE": "celery", "WORKERS_BROKER_URL": url})
    with bootstrap(Flask(__name__), settings=settings) as services:
        logging.getLogger().addHandler(caplog.handler)
        task = services.task(lambda: None, name="mail")
        assert [task.delay().code for _ in range(3)] == ["broker-unavailable"] * 3
        assert services.health.refresh()["broker"].status is HealthStatus.UNHEALTHY
        wait_until(lambda: services.health._telling is False)
    said = [each.getMessage() for each in caplog.records if "broker" in each.getMessage().lower()]
    assert len(said) == 1
    assert said[0].startswith("Tasks are refused: the Celery broker could not be used")
