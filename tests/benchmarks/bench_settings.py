"""P1: what `python -m settings check` costs, beside the import that it cannot do without, and beside Dynaconf."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.harness import Bar, Sampler, process_cpu

HOUSE = Path(__file__).parents[2]
VALID = {"APP_NAME": "shop", "REDIS_URL": "redis://cache:6379/0", "DATABASE_URL": "postgresql://app@localhost/app"}
WRONG = {"DATABASE_URL": "postgres//db/app", "WS_MAX_RETRIES": "many", "LOG_LEVEL": "LOUD"}
DYNACONF = """
from dynaconf import Dynaconf, Validator
settings = Dynaconf(envvar_prefix=False, load_dotenv=True, environments=False)
settings.validators.register(
    Validator("DATABASE_URL", default="sqlite:///app.db", condition=lambda url: "://" in url),
    Validator("REDIS_URL", default="redis://h", condition=lambda url: "://" in url),
    Validator("WS_MAX_RETRIES", default=5, gte=0, lte=1000, is_type_of=int),
    Validator("DATABASE_POOL_SIZE", default=5, gte=1, lte=1000, is_type_of=int),
    Validator("LOG_LEVEL", default="INFO", is_in=["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
)
settings.validators.validate_all()
print("valid", settings.DATABASE_URL)
"""


@contextmanager
def _pair(variables: Mapping[str, str], status: int, peer: str) -> Iterator[tuple[Sampler, Sampler]]:
    with tempfile.TemporaryDirectory() as folder:
        environ = {"PYTHONPATH": str(HOUSE), **variables}
        command = [sys.executable, "-m", "settings", "check"]
        ours = process_cpu(command, env=environ, cwd=folder, expect=[status])
        yield ours, process_cpu([sys.executable, "-c", peer], env=environ, cwd=folder)


def _bar(key: str, what: str, variables: Mapping[str, str], status: int) -> Bar:
    floor = "import pydantic_settings"
    return Bar(key, what, floor, 1.10, lambda: _pair(variables, status, floor), samples=15)


BARS = [
    _bar("P1", "check, valid, defaults", {}, 0),
    _bar("P1.set", "check, valid, database and Redis set", VALID, 0),
    _bar("P1.wrong", "check, three wrong variables", WRONG, 1),
]
if find_spec("dynaconf") is not None:
    BARS.append(
        Bar("P1.peer", "check, valid", "Dynaconf, five validators", 0.95, lambda: _pair(VALID, 0, DYNACONF), samples=15)
    )
