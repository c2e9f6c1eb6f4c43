"""The command line as a process: what it prints, and with which exit status it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from settings.cli import main
from tests.servers import RedisServer, free_port

HOUSE = Path(__file__).parents[2]
THREE_WRONG = {"DATABASE_URL": "postgres//db/app", "WS_MAX_RETRIES": "many", "LOG_LEVEL": "LOUD"}


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m settings` in a folder with nothing in its environment but `variables`."""
    environ: Mapping[str, str] = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), **variables}
    command = [sys.executable, "-m", "settings", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_defaults_are_valid(tmp_path: Path) -> None:
    """With nothing set, `check` says so in a verdict line and exits with 0."""
    done = run(tmp_path, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "settings for development: valid (0 errors, 0 warnings, 0 notices)\n"


@pytest.mark.parametrize("style", ["text", "json"])
def test_three_wrong_variables_are_three_problems(tmp_path: Path, style: str) -> None:
    """Every wrong variable is in one report, and the exit status is 1."""
    done = run(tmp_path, "check", "--format", style, **THREE_WRONG)
    assert done.returncode == 1, done.stderr
    if style == "json":
        report = json.loads(done.stdout)
        assert (report["valid"], report["environment"]) == (False, "development")
        assert {each["variable"] for each in report["problems"]} == set(THREE_WRONG)
        assert all(
            set(each) == {"variable", "severity", "code", "message", "fix", "source"} for each in report["problems"]
        )
    else:
        lines = done.stdout.splitlines()
        assert [line.partition(":")[0] for line in lines[:-1:2]] == ["DATABASE_URL", "WS_MAX_RETRIES", "LOG_LEVEL"]
        assert all(line.startswith("    fix: ") for line in lines[1:-1:2])
        assert lines[-1] == "settings for development: invalid (3 errors, 0 warnings, 0 notices)"


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check", "--format", "xml"], ["show", "--connect"]])
def test_wrong_use_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    """An unknown command or option is wrong use, told apart from wrong settings."""
    assert run(tmp_path, *arguments).returncode == 2


def test_an_unreachable_database_exits_with_3(tmp_path: Path) -> None:
    """Valid settings whose database refuses are told apart from wrong ones, with the diagnosis and no password."""
    url = "postgresql://app:S3cretWord@127.0.0.1:1/app"
    done = run(tmp_path, "check", "--connect", "--format", "json", DATABASE_URL=url)
    assert done.returncode == 3, done.stderr
    [database] = json.loads(done.stdout)["services"]
    assert (database["name"], database["status"]) == ("database", "failed")
    assert "database-refused" in database["message"]
    assert "S3cretWord" not in done.stdout + done.stderr


def test_the_verdict_says_what_cannot_be_used(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who reads the last line alone learns why the status is 3."""
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app@127.0.0.1:{free_port()}/app")
    assert main(["check", "--connect"]) == 3
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict.startswith("settings for development: valid, but the database cannot be used ("), working_directory


def test_redis_and_websocket_count_when_strict(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services with a fallback are reported, and fail the check with `--strict` only; wrong settings come first."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main(["check", "--connect"]) == 0
    assert main(["check", "--connect", "--strict"]) == 3
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    assert main(["check", "--connect", "--strict"]) == 1


def test_the_broker_decides_with_celery(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    """With Celery an application without its broker cannot be used."""
    monkeypatch.setenv("WORKERS_ENGINE", "celery")
    monkeypatch.setenv("WORKERS_BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main(["check", "--connect"]) == 3
    monkeypatch.setenv("WORKERS_BROKER_URL", redis_server.url())
    assert main(["check", "--connect"]) == 0


def test_a_text_report_of_services_is_readable(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line a service: name, status, masked target, latency, what it said; then its fix."""
    monkeypatch.setenv("REDIS_URL", f"redis://:S3cretWord@127.0.0.1:{free_port()}/0")
    main(["check", "--connect"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("database: ok: sqlite")
    assert lines[1].startswith("redis: failed: redis://:***@127.0.0.1:")
    assert lines[2].startswith("    fix: ")


def test_the_verdict_counts_services_that_may_be_down(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Redis that is down is a warning, and the last line says so."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main(["check", "--connect"]) == 0
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict.endswith("(0 errors, 1 warning, 0 notices)"), working_directory


def test_strict_counts_warnings_and_never_notices(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A near miss fails a strict check, a foreign name with our prefix does not."""
    monkeypatch.setenv("REDIS_HOST", "h")
    assert main(["check", "--strict"]) == 0
    monkeypatch.setenv("DATABSE_URL", "x")
    assert main(["check"]) == 0
    assert main(["check", "--strict"]) == 1


def test_another_environment_can_be_checked(tmp_path: Path) -> None:
    """`--env NAME` is as if APP_ENV were NAME, whatever it is."""
    (tmp_path / ".env.production").write_text("DATABASE_URL=postgresql://app@localhost/app\nAPP_NAME=shop\n")
    done = run(tmp_path, "show", "--env", "production", "--format", "json", APP_ENV="testing")
    shown = {row["variable"]: row for row in json.loads(done.stdout)["settings"]}
    assert done.returncode == 0, done.stderr
    assert (shown["APP_NAME"]["value"], shown["APP_NAME"]["origin"]) == ("shop", ".env.production:2")
    assert shown["LOG_FORMAT"]["value"] == "json"


def test_show_lists_every_value_with_its_origin(tmp_path: Path) -> None:
    """Every variable once, secrets masked."""
    done = run(tmp_path, "show", WS_TOKEN="S3cretWord", DATABASE_URL="postgresql://app:S3cretWord@h/d")
    lines = done.stdout.splitlines()
    assert "WS_TOKEN=***  (environment)" in lines
    assert "DATABASE_URL=postgresql+psycopg2://app:***@h/d  (environment)" in lines
    assert "WS_QUEUE_SIZE=1000  (default)" in lines
    assert "S3cretWord" not in done.stdout + done.stderr


def test_show_shows_what_it_can(tmp_path: Path) -> None:
    """A wrong value does not hide the right ones: it is marked, and told on standard error."""
    done = run(tmp_path, "show", LOG_LEVEL="LOUD", APP_NAME="shop")
    assert done.returncode == 1
    assert "LOG_LEVEL=(invalid)  (environment)" in done.stdout
    assert "APP_NAME=shop  (environment)" in done.stdout
    assert "unknown-choice" in done.stderr


@pytest.mark.parametrize("style", ["python -m", "flask", "library"])
def test_the_same_folder_shows_the_same(tmp_path: Path, style: str) -> None:
    """`flask` copies .env and .flaskenv into the environment first, from a folder above too; nothing changes."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / ".env").write_text("APP_ENV=testing\nAPP_NAME=base\nLOG_LEVEL=ERROR\nWS_QUEUE_SIZE=7\n")
    (inner / ".flaskenv").write_text("LOG_LEVEL=WARNING\nSTATUS_PREFIX=/ops\n")
    (inner / ".env.testing").write_text("APP_NAME=overlaid\n")
    (inner / "shower.py").write_text(
        "from flask import Flask\nfrom settings.cli import main\napp = Flask(__name__)\n"
        "@app.cli.command()\ndef reveal():\n    raise SystemExit(main(['show', '--format', 'json']))\n"
    )
    commands = {
        "python -m": [sys.executable, "-m", "settings", "show", "--format", "json"],
        "flask": [sys.executable, "-m", "flask", "--app", "shower", "reveal"],
        "library": [sys.executable, "-c", "from settings.cli import main; main(['show', '--format', 'json'])"],
    }
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        commands[style], cwd=inner, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    shown = {row["variable"]: (row["value"], row["origin"]) for row in json.loads(done.stdout)["settings"]}
    set_somewhere = {name: row for name, row in shown.items() if row[1] != "default"}
    assert set_somewhere == {
        "APP_ENV": ("testing", "../.env:1"), "APP_NAME": ("overlaid", ".env.testing:1"),
        "LOG_LEVEL": ("ERROR", "../.env:3"), "WS_QUEUE_SIZE": ("7", "../.env:4"),
        "STATUS_PREFIX": ("/ops", ".flaskenv:2"),
    }, done.stderr  # fmt: skip


def test_example_is_the_file_of_this_project(tmp_path: Path) -> None:
    """`example` prints `.env.example`, and with the application's own models their blocks, too."""
    assert run(tmp_path, "example").stdout == (HOUSE / ".env.example").read_text("utf-8")
    (tmp_path / "shop.py").write_text(
        "from pydantic_settings import SettingsConfigDict\nfrom settings import RoomSettings\n"
        "class ShopSettings(RoomSettings):\n    'The shop.'\n"
        "    model_config = SettingsConfigDict(env_prefix='SHOP_')\n"
        "    size: int = 3\n"
    )
    assert "#SHOP_SIZE=3" in run(tmp_path, "example", APP_SETTINGS="shop:ShopSettings").stdout


@pytest.mark.parametrize("arguments", [["check", "--format", "json"], ["show", "--format", "json"], ["example"]])
def test_a_module_that_prints_is_not_in_the_report(tmp_path: Path, arguments: list[str]) -> None:
    """Standard output carries the report alone, whatever the application's modules print while they are imported."""
    (tmp_path / "loud.py").write_text(
        "from settings import RoomSettings\nprint('hello')\nclass LoudSettings(RoomSettings):\n    size: int = 3\n"
    )
    done = run(tmp_path, *arguments, APP_SETTINGS="loud:LoudSettings")
    assert "hello" not in done.stdout
    assert done.stderr == "hello\n"


def test_example_has_a_room_whose_required_variable_is_not_set(tmp_path: Path) -> None:
    """The example tells what to set, so that it cannot ask for it."""
    (tmp_path / "billing.py").write_text(
        "from pydantic_settings import SettingsConfigDict\n"
        "from settings import RoomSettings\n"
        "class BillingSettings(RoomSettings):\n"
        "    model_config = SettingsConfigDict(env_prefix='BILLING_')\n"
        "    currency: str\n"
    )
    done = run(tmp_path, "example", APP_SETTINGS="billing:BillingSettings")
    assert "#BILLING_CURRENCY=" in done.stdout, done.stderr


def test_example_says_which_room_it_could_not_find(tmp_path: Path) -> None:
    """A room of the application's that is missing in the example is told, on standard error and by the status."""
    done = run(tmp_path, "example", APP_SETTINGS="nowhere:X")
    assert (done.returncode, done.stdout) == (1, (HOUSE / ".env.example").read_text("utf-8"))
    assert "APP_SETTINGS: error: nowhere:X cannot be imported: there is no module nowhere" in done.stderr


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """`check | head -n 1` ends quietly."""
    command = f"{sys.executable} -m settings show | true"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""


def test_a_stream_without_unicode_is_no_traceback(tmp_path: Path) -> None:
    """A terminal that knows ASCII alone gets the codes of other characters."""
    done = run(tmp_path, "check", LOG_FILE="bücher\udcff", APP_NAME="ü" * 99, PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_folder_that_was_removed_is_a_problem(tmp_path: Path) -> None:
    """A process may outlive its working directory, as after a deploy that cleans up; it is told."""
    (tmp_path / "gone").mkdir()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE)}
    command = f"cd gone && rmdir ../gone && {sys.executable} -m settings check"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "DATABASE_URL: error: it is relative to the working directory, which was removed" in done.stdout


def test_the_environment_of_the_process_decides(tmp_path: Path) -> None:
    """Bytes that are no text, in a variable of ours, are a problem and no traceback."""
    environ = {b"PATH": os.environ["PATH"].encode(), b"PYTHONPATH": str(HOUSE).encode(), b"APP_NAME": b"\xff\xfe"}
    done = subprocess.run(
        [sys.executable, "-m", "settings", "check"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"APP_NAME: error:" in done.stdout


def test_the_commands_run_in_this_process_too(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`main` returns its status and prints its report: check, show, example, as text and as JSON."""
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    assert main(["check"]) == main(["show"]) == main(["show", "--format", "json", "--env", "production"]) == 1
    assert "LOG_LEVEL=(invalid)" in capsys.readouterr().out
    monkeypatch.delenv("LOG_LEVEL")
    assert main(["check", "--format", "json"]) == main(["show"]) == main(["example"]) == 0
    assert "#LOG_LEVEL=DEBUG" in capsys.readouterr().out


def test_the_entry_of_the_console_script_prepares_the_interpreter(tmp_path: Path) -> None:
    """`settings.__main__:run` is what `python -m` runs: no garbage is looked for, no plugin of pydantic loaded."""
    script = (
        "import sys; sys.argv = ['twelvefactor', 'check']; from settings.__main__ import run; status = run()\n"
        "import gc, os; assert not gc.isenabled() and os.environ['PYDANTIC_DISABLE_PLUGINS'] == '__all__'\n"
        "sys.exit(status)"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
