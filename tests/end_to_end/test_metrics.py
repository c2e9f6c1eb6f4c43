"""/metrics of a real service: one true count over all gunicorn workers, without a hook in its configuration."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.running import Running, gunicorn, serving
from tests.servers import RedisServer, wait_until

TOKEN = "a token that nobody guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WSGI = """
from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)


@app.get("/hello")
def hello():
    return "hello"


@app.get("/broken")
def broken():
    raise ValueError("no such order 7")
"""


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


def scrape(running: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples of a scrape."""
    text = running.ask("/metrics", headers=BEARER).text
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_metrics_add_up_over_workers(fleet: Running) -> None:
    """Requests that three workers answered are one true count, by endpoint and status, with their durations."""
    for _ in range(30):
        fleet.ask("/hello")
    for _ in range(6):
        fleet.ask("/broken")
    name = "twelvefactor_http_requests_total"
    hello = frozenset({("endpoint", "hello"), ("status", "200")})
    broken = frozenset({("endpoint", "broken"), ("status", "500")})
    wait_until(lambda: scrape(fleet).get((name, hello)) == 30, what="all requests that were answered well")
    wait_until(lambda: scrape(fleet).get((name, broken)) == 6, what="all requests that failed")
    endpoint = frozenset({("endpoint", "hello")})
    assert scrape(fleet)["twelvefactor_http_request_duration_seconds_count", endpoint] == 30
    wait_until(
        lambda: sum(v for (n, _), v in scrape(fleet).items() if n == "twelvefactor_processes") == 3, what="3 rows"
    )
    wait_until(lambda: scrape(fleet)["twelvefactor_errors_seen_total", frozenset()] >= 6, what="the count of errors")
