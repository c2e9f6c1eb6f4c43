"""`flask bootstrap …` speaks for the installation, by words and by exit status."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from bootstrap import Services, bootstrap
from tests.running import SCRIPTS, run

FLASK = [str(SCRIPTS / "flask"), "--app", "bootstrap", "bootstrap"]


@pytest.fixture
def services(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services whose database has no tables yet."""
    monkeypatch.setenv("DATABASE_MIGRATE", "false")
    monkeypatch.setenv("WORKERS_ENABLED", "false")
    with bootstrap(Flask(__name__)) as services:
        yield services


def _flask(services: Services, *words: str) -> tuple[int, str]:
    result = services.app.test_cli_runner().invoke(args=["bootstrap", *words])
    return result.exit_code, result.output


def test_migrate_checks_applies_and_checks_again(services: Services) -> None:
    """Exit 1 while something is pending, which --check does not change; 0 when it is done."""
    code, words = _flask(services, "migrate", "--check")
    assert (code, "pending" in words) == (1, True)
    assert _flask(services, "migrate", "--check")[0] == 1
    code, words = _flask(services, "migrate")
    assert (code, "0001" in words) == (0, True)
    assert _flask(services, "migrate", "--check") == (0, "nothing is pending\n")


def test_sql_prints_and_runs_nothing(services: Services) -> None:
    """The statements are there to be read, and the tables are not."""
    code, words = _flask(services, "migrate", "--sql")
    assert code == 0
    assert "CREATE TABLE performance_alerts" in words
    assert services.migrations.current() is None


def test_both_options_at_once_are_wrong_use(services: Services) -> None:
    """Click's own status for wrong use."""
    assert _flask(services, "migrate", "--check", "--sql")[0] == 2


def test_a_broken_folder_is_explained(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cause and fix instead of a traceback, whatever was asked; the database could be used, so 1 and not 3."""
    monkeypatch.setenv("DATABASE_MIGRATE", "false")
    (working_directory / "versions").mkdir()
    (working_directory / "versions" / "a1.py").write_text("revision = (")
    with bootstrap(Flask(__name__), migrations=working_directory) as services:
        for words in (["--check"], ["--sql"], []):
            code, said = _flask(services, "migrate", *words)
            assert (code, "SyntaxError" in said, "fix: " in said) == (1, True, True), said


def test_status_tells_health_by_its_exit(services: Services) -> None:
    """Pending migrations are no good health; JSON is one object."""
    code, words = _flask(services, "status", "--format", "json")
    assert code == 1
    assert isinstance(json.loads(words), dict)
    assert "migrations" in _flask(services, "status")[1]
    _flask(services, "migrate")


def test_status_on_a_terminal_that_knows_few_letters(services: Services) -> None:
    """A letter that the terminal has no code for is written as its escape, instead of ending the command."""
    services.migrations.ensure_tables_exist()
    services.alerts.raise_alert("latency", severity="high", title="Zoë waits 3 € long")
    result = services.app.test_cli_runner(charset="latin-1").invoke(args=["bootstrap", "status"])
    assert r"Zoë waits 3 \u20ac long" in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_an_unusable_database_exits_with_3(tmp_path: Path) -> None:
    """Cause and fix stand on standard error, without a traceback."""
    unreachable: dict[str, Any] = {
        "DATABASE_URL": "postgresql://app:hidden@127.0.0.1:1/app",
        "APP_ENV": "production",
        "DATABASE_WAIT": "0",
    }
    for command in (["migrate"], ["migrate", "--check"], ["status"]):
        done = run([*FLASK, *command], tmp_path, **unreachable)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "DATABASE_URL" in done.stderr
        assert "fix:" in done.stderr
        assert "Traceback" not in done.stderr
        assert "hidden" not in done.stdout + done.stderr


def test_commands_make_nothing_by_themselves(tmp_path: Path) -> None:
    """On an empty folder --check leaves no table behind."""
    done = run([*FLASK, "migrate", "--check"], tmp_path)
    assert done.returncode == 1
    assert "pending" in done.stdout
    again = run([*FLASK, "migrate", "--check"], tmp_path)
    assert again.stdout == done.stdout
    assert os.listdir(tmp_path) in ([], ["app.db"])  # noqa: PTH208 - names are enough


def test_the_fallback_is_not_taken_for_the_database(tmp_path: Path) -> None:
    """A migration job whose database is away must not report the success of another one."""
    for command in (["migrate"], ["migrate", "--check"]):
        done = run([*FLASK, *command], tmp_path, DATABASE_URL="postgresql://app@127.0.0.1:1/app", DATABASE_WAIT="0")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "The fallback is not migrated" in done.stderr


def test_a_newer_schema_is_said_to_be_newer(services: Services) -> None:
    """Nothing is pending for this code, and still all is not well."""
    _flask(services, "migrate")
    with services.engine.begin() as connection:
        connection.execute(text("UPDATE twelvefactor_version SET version_num = '9999'"))
    code, words = _flask(services, "migrate", "--check")
    assert (code, "newer" in words) == (1, True)
