"""What single steps choose, and what they say of it."""

import json
import sys
from pathlib import Path

import pytest
from flask import Flask

from bootstrap import bootstrap
from settings import load_settings
from settings.probe import HealthStatus
from tests.running import run

PROGRAM = """
from sqlalchemy import text
from bootstrap import bootstrap
with bootstrap() as services, services.engine.connect() as connection:
    connection.execute(text("SELECT 4711"))
"""


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_sql_that_is_echoed_is_a_line_of_the_log(tmp_path: Path, level: str) -> None:
    """DATABASE_ECHO puts each statement into the log once, in its form, whatever LOG_LEVEL is; nothing beside it."""
    done = run([sys.executable, "-c", PROGRAM], tmp_path, DATABASE_ECHO="true", LOG_FORMAT="json", LOG_LEVEL=level)
    events = [json.loads(each) for each in done.stdout.splitlines()]
    assert [each["logger"] for each in events if each["message"] == "SELECT 4711"] == ["sqlalchemy.engine.Engine"]


@pytest.mark.parametrize(
    ("variable", "value", "service"),
    [
        ("DATABASE_URL", "postgres://h:99999/d", "database"),
        ("REDIS_URL", "redis://h:99999/0", "cache"),
        ("WS_URL", "http://h", "websocket"),
    ],
)
def test_what_an_invalid_url_is_replaced_by_is_a_fallback(
    working_directory: Path, variable: str, value: str, service: str
) -> None:
    """Report and health tell the very cause, and do not say that the variable is not set."""
    settings = load_settings({variable: value})
    fault = settings.refused(variable)
    assert fault is not None
    with bootstrap(Flask(__name__), settings=settings) as services:
        row = next(each for each in services.report if each.name == service)
        assert row.status == "fallback"
        assert fault.cause in row.detail
        health = services.health.check()[service]
        assert health.status is HealthStatus.FALLBACK
        assert health.cause == fault.cause
        assert services.app.test_client().get("/healthz").get_json()["status"] == "warn"
        assert services.app.test_client().get("/readyz").status_code == 200


def test_a_fallback_is_one_warning(working_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The boot warns of it; the looks at health that follow find nothing new."""
    away = {"DATABASE_URL": "postgresql://app@127.0.0.1:1/d", "DATABASE_WAIT": "0", "LOG_FORMAT": "json"}
    with bootstrap(Flask(__name__), settings=load_settings(away)) as services:
        seen = [services.health.refresh()["database"].status for _ in range(2)]
    assert seen == [HealthStatus.FALLBACK] * 2
    events = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert len([each for each in events if each["level"] not in ("INFO", "DEBUG")]) == 1


def test_the_secret_key_of_the_environment_wins(working_directory: Path) -> None:
    """A key that the code holds, for development, never signs where APP_SECRET_KEY is set; the report says so."""
    app = Flask(__name__)
    app.secret_key = "dev"
    with bootstrap(app, settings=load_settings({"APP_SECRET_KEY": "k" * 40})) as services:
        assert app.secret_key == "k" * 40
        assert "APP_SECRET_KEY replaces" in next(iter(services.report)).detail
