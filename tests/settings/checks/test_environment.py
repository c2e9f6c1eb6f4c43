"""What the platform says: that this is a deployment, and how many processes there will be."""

from pathlib import Path

import pytest

from settings.checks.environment import process_count, production_sign, several_processes
from settings.loading import inspect_settings

NOWHERE = Path("/nonexistent-folder")
POSTGRES = "postgresql://app@localhost/app"


def codes(**variables: str) -> set[tuple[str, str]]:
    """Return variable and code of each problem."""
    return {(each.variable, each.code) for each in inspect_settings(variables, folder=NOWHERE).problems}


@pytest.mark.parametrize(
    ("name", "value", "there"),
    [
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1", True), ("DYNO", "web.1", True), ("GUNICORN_CMD_ARGS", "-w 1", True),
        ("SERVER_SOFTWARE", "gunicorn/27.0.1", True), ("SERVER_SOFTWARE", "Werkzeug/3.1", False), ("CI", "true", False),
        ("DYNO", "", False),
    ],
)  # fmt: skip
def test_a_deployment_is_recognised(name: str, value: str, there: bool) -> None:
    """Platforms leave their marks in the environment; a developer's shell and CI have none."""
    assert (production_sign({name: value}) == name) == there
    assert (("APP_ENV", "environment-not-set") in codes(**{name: value})) == there
    assert ("APP_ENV", "environment-not-set") not in codes(**{name: value}, APP_ENV="testing")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEB_CONCURRENCY", "4", "WEB_CONCURRENCY=4"), ("WEB_CONCURRENCY", "1", None),
        ("WEB_CONCURRENCY", "many", None),
        ("WEB_CONCURRENCY", "9" * 40, None), ("UWSGI_PROCESSES", "2", "UWSGI_PROCESSES=2"),
        ("GUNICORN_CMD_ARGS", "--bind :80 -w 3", "GUNICORN_CMD_ARGS with 3 workers"),
        ("GUNICORN_CMD_ARGS", "-w3", "GUNICORN_CMD_ARGS with 3 workers"),
        ("GUNICORN_CMD_ARGS", "--workers=3 --threads 2", "GUNICORN_CMD_ARGS with 3 workers"),
        ("GUNICORN_CMD_ARGS", "--workers 2 -w 5", "GUNICORN_CMD_ARGS with 5 workers"),
        ("GUNICORN_CMD_ARGS", "--threads 4", None), ("GUNICORN_CMD_ARGS", "'", None),
    ],
)  # fmt: skip
def test_the_number_of_processes_is_read(name: str, value: str, said: str | None) -> None:
    """What starts several processes is named with its number."""
    assert several_processes({name: value}) == said
    assert (process_count({name: value}) > 1) == (said is not None)


def test_several_processes_bring_their_warnings() -> None:
    """Each process would have a memory, a cache and a fallback of its own, or wait for the others' file."""
    memory = codes(WEB_CONCURRENCY="2", APP_ENV="testing", DATABASE_URL="sqlite:///:memory:")
    assert {("DATABASE_URL", "memory-per-process"), ("REDIS_URL", "cache-per-process"),
            ("DATABASE_FALLBACK_URL", "fallback-splits-data")} <= memory  # fmt: skip
    assert ("DATABASE_URL", "sqlite-with-processes") in codes(WEB_CONCURRENCY="2", APP_ENV="development")
    shared = codes(WEB_CONCURRENCY="2", APP_ENV="production", DATABASE_URL=POSTGRES, REDIS_URL="redis://h")
    assert not {code for _, code in shared} & {"sqlite-with-processes", "cache-per-process", "fallback-splits-data"}


def test_one_process_brings_none() -> None:
    """The defaults of development are fine for one process."""
    assert codes() == set()


def test_a_fallback_where_it_is_served_is_a_warning() -> None:
    """In production there are always others whose data it would split."""
    found = codes(APP_ENV="production", DATABASE_URL=POSTGRES, DATABASE_FALLBACK_URL="sqlite:///f.db")
    assert ("DATABASE_FALLBACK_URL", "fallback-splits-data") in found


def test_a_fallback_on_the_same_file_is_no_fallback() -> None:
    """One file cannot help when it cannot be opened."""
    assert ("DATABASE_FALLBACK_URL", "fallback-is-database") in codes(DATABASE_URL="sqlite:///fallback.db")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_database_is_required_where_it_is_served(environment: str) -> None:
    """Staging and production have no default; a wrong URL is not also a missing one."""
    assert ("DATABASE_URL", "missing-database-url") in codes(APP_ENV=environment)
    assert ("DATABASE_URL", "missing-database-url") not in codes(APP_ENV=environment, DATABASE_URL="nonsense")


def test_celery_needs_a_broker() -> None:
    """REDIS_URL is one; a wrong one is reported once, as what it is."""
    assert ("WORKERS_BROKER_URL", "missing-broker") in codes(WORKERS_ENGINE="celery")
    assert codes(WORKERS_ENGINE="celery", REDIS_URL="redis://h") == set()
    assert codes(WORKERS_ENGINE="celery", REDIS_URL="h") == {("REDIS_URL", "missing-scheme")}


@pytest.mark.parametrize("variable", ["REDIS_URL", "WORKERS_BROKER_URL"])
def test_a_broker_that_celery_cannot_be_given_is_an_error(variable: str) -> None:
    """What ends the boot is told before; the threads of one process read no broker's URL."""
    given = {variable: "unix:///run/redis.sock?socket_timeout=1"}
    assert codes(WORKERS_ENGINE="celery", **given) == {(variable, "broker-url-unusable")}
    assert codes(**given) == set()
