"""The whole way from environment variables to a served page, on each database and under each kind of server."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from tests.running import SCRIPTS, Running, flask_run, gunicorn, run, serving
from tests.servers import PostgresServer, RedisServer, wait_until

STEPS = ["settings", "logs", "database", "migrations", "cache", "websocket", "workers", "status"]
TOKEN = {"Authorization": "Bearer let-me-see"}


def _engine_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://")


@pytest.fixture(
    scope="module",
    params=["sqlite under flask", "postgresql and redis under flask", "postgresql and redis under gunicorn"],
)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[tuple[Running, str]]:
    """A served application, which every test leaves as it was, and the SQLAlchemy URL of its database."""
    folder = tmp_path_factory.mktemp("served")
    variables: dict[str, object] = {"STATUS_TOKEN": "let-me-see", "WORKERS_HEALTH_INTERVAL": "0.5"}
    database = f"sqlite:///{folder / 'app.db'}"
    with closing(RedisServer().start()) as redis:
        if "postgresql" in request.param:
            database = postgres.new_database()
            variables |= {"DATABASE_URL": database, "REDIS_URL": redis.url()}
        command = gunicorn() if "gunicorn" in request.param else flask_run()
        with serving(command, folder, **variables) as running:
            yield running, _engine_url(database)


def test_a_served_application_answers_for_machines_and_people(service: tuple[Running, str]) -> None:
    """Each route of the contract answers, and the database holds the tables with their indexes and constraints."""
    running, database = service
    assert running.ask("/livez").status == 200
    ready = running.ask("/readyz")
    assert ready.status == 200, ready.text
    wait_until(
        lambda: running.ask("/healthz").json()["status"] == "pass", what=f"health: {running.ask('/healthz').text}"
    )
    page = running.ask("/status", headers=TOKEN)
    assert page.status == 200
    assert "<html" in page.text
    assert running.ask("/").headers["location"].endswith("/status")
    _has_the_tables(database)


def _has_the_tables(database: str) -> None:
    engine = create_engine(database)
    found = inspect(engine)
    assert {"performance_alerts", "worker_runs", "twelvefactor_version"} <= set(found.get_table_names())
    assert len(found.get_indexes("performance_alerts")) == 6
    checks = {str(each["name"]) for each in found.get_check_constraints("performance_alerts")}
    assert {f"ck_performance_alerts_{each}" for each in ("severity", "status", "occurrence_count")} <= checks
    engine.dispose()


def test_the_health_worker_runs_in_an_application_context(service: tuple[Running, str]) -> None:
    """The built-in worker runs where requests are served, and no line of the log tells of a missing context."""
    running, _ = service

    def has_run() -> bool:
        return (
            "health" in running.ask("/status", headers=TOKEN).text
            and running.ask("/healthz", headers=TOKEN).status == 200
        )

    wait_until(has_run, what="a run of the health worker")
    assert "outside of application context" not in running.output()
    assert "ERROR" not in running.output()


def test_the_terminal_shows_the_boot_a_row_a_step(service: tuple[Running, str]) -> None:
    """Each step says in its row what was chosen and why."""
    running, _ = service
    rows = [line.split()[0] for line in running.output().splitlines() if " ms  " in line and line.startswith("  ")]
    assert rows[: len(STEPS)] == STEPS


def test_flask_run_names_the_address_to_open(tmp_path: Path) -> None:
    """A newcomer is told which database was chosen and why, and where to look."""
    with serving(flask_run(), tmp_path) as running:
        assert f"sqlite:///{tmp_path / 'app.db'}, because DATABASE_URL is not set" in running.output()
        assert f"open {running.url}/" in running.output()


BOOTS = {
    "flask run": flask_run(),
    "gunicorn": gunicorn(workers=2),
    "gunicorn --preload": gunicorn("bootstrap:create_app()", "--preload"),
    "waitress": [str(SCRIPTS / "waitress-serve"), "--port", "{port}", "--call", "bootstrap:create_app"],
    "python": [sys.executable, "-c", "import bootstrap; bootstrap.create_app()"],
}


def _failed_boot(name: str, folder: Path, **variables: Any) -> str:
    """Return what a server printed that could not boot, and ended by itself with the status that it should have."""
    words = [each.replace("{port}", "0") for each in BOOTS[name]]
    done = run(words, folder, **variables)
    shown = done.stdout + done.stderr
    assert done.returncode != 0, shown
    if name != "gunicorn":  # its master may print a traceback of its own, and has a status of its own
        assert done.returncode == 1, shown
        assert "Traceback" not in shown
    return shown


@pytest.mark.parametrize("name", BOOTS)
def test_a_wrong_variable_ends_the_boot_readably(name: str, tmp_path: Path) -> None:
    """The report stands on the terminal, with no page of traceback, and the server is gone, not restarted for ever."""
    shown = _failed_boot(
        name, tmp_path, DATABASE_POOL_SIZE="many", LOG_LEVEL="LOUD", APP_STRICT="true", DATABASE_URL="postgress://x/y"
    )
    assert "bootstrap failed: 3 invalid settings" in shown
    for variable in ("DATABASE_POOL_SIZE", "LOG_LEVEL", "DATABASE_URL"):
        assert f"{variable}: " in shown


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn --preload", "waitress"])
def test_a_database_that_is_away_ends_the_boot_readably(name: str, tmp_path: Path) -> None:
    """A failed step ends a server as a wrong variable does: gunicorn, too, starts no worker again and again."""
    url = "postgresql://app:hidden-word@127.0.0.1:1/app"
    shown = _failed_boot(name, tmp_path, APP_ENV="production", DATABASE_URL=url, DATABASE_WAIT="0")
    assert "bootstrap failed: DATABASE_URL (postgresql://app:***@127.0.0.1:1/app): " in shown
    assert "hidden-word" not in shown


def test_an_unwritable_sqlite_directory_is_named_with_its_fix(tmp_path: Path) -> None:
    """Neither the database nor its fallback can be made: cause and fix, exit status 1."""
    impossible: dict[str, Any] = {
        "DATABASE_URL": "sqlite:////proc/nowhere/app.db",
        "DATABASE_FALLBACK_URL": "sqlite:////proc/nowhere/b.db",
    }
    done = run([str(SCRIPTS / "flask"), "--app", "bootstrap", "run", "--port", "0"], tmp_path, **impossible)
    assert done.returncode == 1
    # To a user who may not even try to make the folder the check says so, before a database is opened.
    assert re.search(r"^(bootstrap failed: )?DATABASE_URL\b.*/proc/nowhere", done.stderr, re.MULTILINE), done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """The second server on one port says so and how to choose another."""
    with serving(flask_run(), tmp_path) as running:
        done = run([str(SCRIPTS / "flask"), "--app", "bootstrap", "run", "--port", str(running.port)], tmp_path)
    assert done.returncode == 1
    assert f"Port {running.port} is in use" in done.stdout + done.stderr


def test_the_fallback_is_loud_and_visible(tmp_path: Path) -> None:
    """An unreachable database in development: one warning, a row `fallback`, a warning in /healthz, and still ready."""
    variables: Mapping[str, object] = {"DATABASE_URL": "postgresql://u:secret-word@127.0.0.1:1/x", "DATABASE_WAIT": "0"}
    with serving(flask_run(), tmp_path, STATUS_TOKEN="let-me-see", **variables) as running:
        assert running.ask("/readyz").status == 200
        wait_until(lambda: running.ask("/healthz").json()["status"] == "warn", what="the warning")
        assert "  database    fallback" in running.output()
        assert "secret-word" not in running.output() + running.ask("/status", headers=TOKEN).text
