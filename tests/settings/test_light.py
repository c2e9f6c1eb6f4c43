"""`check` opens no socket and imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
HEAVY = (
    "flask",
    "flask_caching",
    "sqlalchemy",
    "alembic",
    "psycopg2",
    "redis",
    "websockets",
    "loguru",
    "apscheduler",
    "celery",
)
SCRIPT = f"""
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is heavy")

def no_socket(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        raise RuntimeError(f"{{event}} {{arguments}}")

sys.meta_path.insert(0, Refusal())
sys.addaudithook(no_socket)
from settings.cli import main
sys.exit(main(sys.argv[1:]))
"""
REAL = {
    "APP_ENV": "production", "DATABASE_URL": "postgresql://app:pw@db.example.com/app", "REDIS_URL": "redis://c/0",
    "WS_URL": "wss://g/", "WORKERS_ENGINE": "celery", "LOG_LEVELS": "a=INFO", "DATABSE_URL": "x",
}  # fmt: skip


@pytest.mark.parametrize("arguments", [["check"], ["check", "--strict", "--format", "json"], ["show"], ["example"]])
@pytest.mark.parametrize("variables", [{}, REAL], ids=["defaults", "all rooms"])
def test_nothing_heavy_is_imported_and_no_socket_opened(
    tmp_path: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    """A process whose importer refuses the libraries, and whose auditor refuses sockets, does all but `--connect`."""
    (tmp_path / ".env").write_text("APP_NAME=shop\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=tmp_path, env={"PYTHONPATH": str(HOUSE), **variables},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    assert done.stdout


def test_the_light_door_loads_nothing_before_it_is_asked() -> None:
    """`import settings` alone is free; each name is there when it is first used, and only those."""
    script = (
        "import sys, settings; assert 'pydantic' not in sys.modules\n"
        "assert all(hasattr(settings, name) for name in settings.__all__)\n"
        "assert not hasattr(settings, 'nothing')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(HOUSE)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
