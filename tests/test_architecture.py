"""Who may import whom: the contracts hold, and each is broken by a violation planted into a copy of the house."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
LINT = Path(sysconfig.get_path("scripts")) / "lint-imports"
VIOLATIONS = {
    "floors": ("problems.py", "import settings.backoff"),
    "rooms": ("cache/diagnosis.py", "import settings.websocket.model"),
    "light": ("websocket/model.py", "import websockets"),
    "light-packages": ("logs/__init__.py", "import loguru"),
    "owner-database": ("status/routes.py", "import sqlalchemy"),
    "owner-cache": ("workers/turns.py", "import redis"),
    "owner-websocket": ("boot/serving.py", "import websockets"),
    "owner-workers": ("boot/serving.py", "import apscheduler"),
    "owner-logs": ("workers/turns.py", "import loguru"),
    "owner-flask": ("websocket/diagnosis.py", "import flask"),
    "bootstrap": ("forks.py", "import bootstrap"),
}
"""For each contract: a file of the house, and a line that breaks that contract and no other."""


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PYTHONPATH": str(folder), "PATH": str(Path(sys.executable).parent), "NO_COLOR": "1"}
    command = [str(LINT), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environ)


def _names() -> dict[str, str]:
    import tomllib

    contracts = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {each["id"]: each["name"] for each in contracts}


def _copy(folder: Path) -> Path:
    shutil.copytree(HOUSE / "settings", folder / "settings", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOUSE / "bootstrap.py", folder)
    shutil.copy(HOUSE / "pyproject.toml", folder)
    return folder


def test_the_house_keeps_every_contract() -> None:
    """No import of the project breaks a contract."""
    done = _lint(HOUSE)
    assert done.returncode == 0, done.stdout
    assert f"{len(VIOLATIONS)} kept, 0 broken" in done.stdout


def test_every_contract_has_its_violation() -> None:
    """A contract that nobody ever saw broken proves nothing."""
    assert set(_names()) == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    """The one planted line breaks the one contract that it should."""
    file, line = VIOLATIONS[contract]
    house = _copy(tmp_path)
    path = house / "settings" / file
    path.write_text(f"{path.read_text()}\n{line}  # noqa\n")
    done = _lint(house)
    broken = [name for name, title in _names().items() if f"{title} BROKEN" in done.stdout]
    assert done.returncode == 1, done.stdout + done.stderr
    assert broken == [contract]
