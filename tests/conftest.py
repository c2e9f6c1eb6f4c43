"""Fixtures for all tests: real servers (one of each per test process), fresh databases, a clean environment."""

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.proxy import TcpProxy
from tests.servers import PostgresServer, RedisServer

PREFIXES = ("APP_", "DATABASE_", "REDIS_", "CACHE_", "WS_", "WORKERS_", "LOG_", "STATUS_", "FLASK_")
PLATFORMS = ("WEB_CONCURRENCY", "KUBERNETES_SERVICE_HOST", "DYNO", "SERVER_SOFTWARE", "GUNICORN_CMD_ARGS", "NO_COLOR",
             "PYTHONUNBUFFERED", "PYTHONWARNINGS", "PYTHONOPTIMIZE")  # fmt: skip
SHARING = ("test_shop.py", "test_first_light.py", "test_celery_fleet.py")
"""Files whose tests share an application with servers of its own."""

hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Take what a hostile environment says out of the way of every test, and of every fixture that is shared.

    A shell lets what it runs in the background ignore SIGINT, and so would the servers that the tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(PREFIXES) or name in PLATFORMS:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files(clean_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the temporary files of the tests, their servers and killed processes in one folder, and delete it."""
    tmp_path_factory.getbasetemp()  # pytest's own folder is elsewhere, and it clears up there itself
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="twelvefactor-test-", ignore_cleanup_errors=True) as folder,
    ):
        Path(folder).chmod(0o755)  # servers that may not run as root run as somebody else
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def log_and_hook() -> Iterator[None]:
    """Let no test decide how much of the next one's log is seen, or leave it the hook of a boot that failed."""
    root = logging.getLogger()
    level, hook = root.level, sys.excepthook
    yield
    root.setLevel(level)
    sys.excepthook = hook


@pytest.fixture(autouse=True)
def no_lines_of_earlier_tests(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keep from a test what a thread of an earlier one, such as a probe of something dead, says at its end."""
    shared = threading.current_thread().name, "database-deadline"
    earlier = {each for each in threading.enumerate() if each.name not in shared}

    def is_of_this_test(_record: logging.LogRecord) -> bool:
        return threading.current_thread() not in earlier

    caplog.handler.addFilter(is_of_this_test)
    yield
    caplog.handler.removeFilter(is_of_this_test)


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The test process's PostgreSQL; a test that harms it takes `own_postgres` instead."""
    server = PostgresServer().start()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres.new_database()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be killed, frozen or configured (about 0.6 s)."""
    server = PostgresServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def _shared_redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """The test process's Redis, emptied; a test that harms it takes `own_redis` instead."""
    _shared_redis.client().flushall()
    return _shared_redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be killed, frozen or configured."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    """A TCP proxy; the test sets its `target` and `mode`."""
    with TcpProxy() as proxy:
        yield proxy


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the chaos run last longer: `--chaos-seconds 600`."""
    parser.addoption("--chaos-seconds", default=60.0, type=float, help="how long random faults go on")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that share servers: each process that took over a part at the end would start them again."""
    items.sort(key=lambda item: item.path.name not in SHARING)
