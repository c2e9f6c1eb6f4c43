"""The README keeps its word: its commands, snippets, names and its table of variables."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from settings.model import ROOMS
from tests.readme import README, blocks, command, table
from tests.running import SCRIPTS, Running, run
from tests.servers import free_port, wait_until

VARIABLES = {model.variable(field) for model in ROOMS.values() for field in model.model_fields}
PREFIXES = ("APP_", "DATABASE_", "REDIS_", "CACHE_", "WS_", "WORKERS_", "LOG_", "STATUS_")


def test_the_table_of_variables_is_the_models() -> None:
    """`python -m tests.readme` writes it."""
    assert table() in README.read_text()


def test_a_default_that_another_variable_gives_is_named() -> None:
    """As `.env.example` has it, not what is left when that variable is not set either."""
    for row in ("| WORKERS_BROKER_URL | `REDIS_URL` |", "| CACHE_KEY_PREFIX | `<APP_NAME>:` |"):
        assert row in table()


def test_every_variable_that_is_named_exists() -> None:
    """A name with one of our prefixes is one of our variables, or the file of one."""
    named = set(re.findall(r"\b[A-Z]+_[A-Z_]+[A-Z]\b", README.read_text()))
    ours = {name for name in named if name.startswith(PREFIXES)} - {"REDIS_ULR", "CACHE_TYPE"}
    assert ours <= VARIABLES | {f"{name}_FILE" for name in VARIABLES} | {"APP_ENV_DIR"}


def test_it_is_short_enough_to_be_read() -> None:
    """What does not fit is in the docstrings."""
    assert len(README.read_text().splitlines()) < 300


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_a_python_snippet_runs(number: int, tmp_path: Path) -> None:
    """Each stands for itself, in a process of its own."""
    (tmp_path / "snippet.py").write_text(blocks("python")[number])
    done = run([sys.executable, "snippet.py"], tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_deploy_command_serves(tmp_path: Path) -> None:
    """The service of the first snippet, with secrets from files, checked and served as the README says."""
    (tmp_path / "wsgi.py").write_text(blocks("python")[0])
    (tmp_path / "secret-key").write_text("not-a-secret\n")
    (tmp_path / "database-url").write_text(f"sqlite:///{tmp_path / 'shop.db'}\n")
    port = free_port()
    [deploy] = [each for each in blocks("sh") if "gunicorn" in each]
    path = f"{SCRIPTS}:/usr/bin:/bin"
    variables = {"PATH": path, "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --no-control-socket"}
    server = Running(["bash", "-c", deploy], folder=tmp_path, variables=variables)
    server.url = f"http://127.0.0.1:{port}"
    try:
        server.start()
        assert server.ask("/prices").json() == {"apple": 3}
        wait_until(lambda: server.ask("/readyz").status == 200, what="readiness")
    finally:
        server.close()


def test_the_two_commands_are_what_a_newcomer_pastes() -> None:
    """Both make an environment, install from the lock, and do what they say, in shell that bash understands."""
    for name, last in (("run", "flask --app bootstrap run"), ("test", "python -m pytest")):
        line = command(name)
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install")
        assert "-c constraints.txt" in line
        assert line.endswith(last)
        assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0


def test_the_report_of_check_is_the_real_one(tmp_path: Path) -> None:
    """What `check` prints in the README is what it prints."""
    (tmp_path / ".env").write_text("\n\nREDIS_ULR=redis://cache:6379/0\n")
    environ = {"PATH": os.environ["PATH"], "DATABASE_POOL_SIZE": "x"}
    command = [sys.executable, "-P", "-m", "settings", "check"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert f"$ python -m settings check\n{done.stdout}```" in README.read_text()
