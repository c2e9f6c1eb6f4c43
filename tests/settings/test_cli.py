"""The command line as a process: what it prints, and with which exit status it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
THREE_WRONG = {"DATABASE_URL": "postgres//db/app", "WS_MAX_RETRIES": "many", "LOG_LEVEL": "LOUD"}


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m settings` in a folder with nothing in its environment but `variables`."""
    environ: Mapping[str, str] = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), **variables}
    return subprocess.run(
        [sys.executable, "-m", "settings", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_defaults_are_valid(tmp_path: Path) -> None:
    """With nothing set, `check` says so in a verdict line and exits with 0."""
    done = run(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("style", ["text", "json"])
def test_three_wrong_variables_are_three_problems(tmp_path: Path, style: str) -> None:
    """Every wrong variable is in one report, and the exit status is 1."""
    done = run(tmp_path, "check", "--format", style, **THREE_WRONG)
    assert done.returncode == 1, done.stderr
    if style == "json":
        report = json.loads(done.stdout)
        assert not report["valid"]
        assert {each["variable"] for each in report["problems"] if each["severity"] == "error"} == set(THREE_WRONG)
    else:
        assert all(name in done.stdout for name in THREE_WRONG)
        assert done.stdout.count("    fix: ") == len(THREE_WRONG)


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check", "--format", "xml"]])
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
