"""A small service in production dress, under three gunicorn workers, for the tests of its status routes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.status_service import TOKEN, WSGI
from tests.running import Running, gunicorn, serving
from tests.servers import RedisServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an application."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    return tmp_path


@pytest.fixture
def settings(postgres_url: str, redis_server: RedisServer) -> dict[str, Any]:
    """Settings of a production service."""
    return {
        "APP_ENV": "production", "APP_NAME": "shop", "APP_SECRET_KEY": "a secret key", "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_server.url(), "STATUS_TOKEN": TOKEN, "WORKERS_HEALTH_INTERVAL": "1",
    }  # fmt: skip


@pytest.fixture
def fleet(folder: Path, settings: dict[str, Any]) -> Iterator[Running]:
    """Three workers."""
    with serving(gunicorn("wsgi:app", workers=3), folder, **settings) as running:
        yield running
