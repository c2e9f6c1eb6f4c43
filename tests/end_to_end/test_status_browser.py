"""The status page in a real browser, served by gunicorn over real PostgreSQL and Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, gunicorn, serving
from tests.servers import PostgresServer, RedisServer, wait_until
from tests.status.browser import DESKTOP, PHONE, Browser, chromium

pytestmark = pytest.mark.browser

TOKEN = "a token that nobody guesses"
EVIL = "<img src=x onerror=alert(1)>"
WSGI = f"""
from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)


@app.get("/cached")
def cached():
    return services.cache.get("key") or "nothing"


@app.get("/evil", endpoint="{EVIL}")
def evil():
    services.alerts.raise_alert("evil", severity="high", title="{EVIL} in a title", endpoint="{EVIL}")
    raise ValueError("{EVIL} in a message")
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def service(
    window: Browser, tmp_path: Path, postgres_url: str, own_redis: RedisServer
) -> Iterator[tuple[Browser, Running]]:
    """A browser that is signed in to the page of two gunicorn workers, in production."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    settings = {
        "APP_ENV": "production",
        "APP_NAME": "shop",
        "APP_SECRET_KEY": "secret",
        "DATABASE_URL": postgres_url,
        "REDIS_URL": own_redis.url(),
        "CACHE_RETRY_AFTER": "1",
        "STATUS_TOKEN": TOKEN,
        "WORKERS_HEALTH_INTERVAL": "1",
    }
    with serving(gunicorn("wsgi:app", workers=2), tmp_path, **settings) as running:
        window.size(*DESKTOP)
        window.open(f"{running.url}/status")
        window.type("#token", TOKEN)
        window.type("#name", "Ann")
        window.click("button.primary")
        wait_until(lambda: window.count("#verdict") == 1, what="the page")
        wait_until(lambda: window.shows("#verdict", "2 processes"), what="both processes on the page")
        window.complaints()
        yield window, running
        window.open("about:blank")
        window.forget_cookies()


def test_redis_goes_and_comes_back(service: tuple[Browser, Running], own_redis: RedisServer) -> None:
    """From all well to degraded when Redis is killed, and back when it returns, without a reload."""
    browser, _ = service
    wait_until(lambda: browser.text("h1") == "All well", what="the headline of health")
    browser.run("window.sameDocument = true")
    own_redis.kill()
    wait_until(lambda: browser.text("h1") == "Degraded: cache", what="the degraded headline")
    assert "What to do" in browser.text("#service-cache")
    assert str(own_redis.port) in browser.text("#service-cache")
    own_redis.start()
    wait_until(lambda: browser.text("h1") == "All well", what="the headline of health again")
    assert browser.run("return window.sameDocument") is True
    assert browser.complaints() == []


def test_hostile_text_and_an_alert(service: tuple[Browser, Running]) -> None:
    """An error, an endpoint and an alert full of markup stay text; the alert is acknowledged by a click."""
    browser, running = service
    for _ in range(3):
        running.ask("/evil")
    wait_until(lambda: f"{EVIL} in a title" in browser.text("#alerts"), what="the alert")
    wait_until(lambda: f"{EVIL} in a message" in browser.text("#errors"), what="the error")
    assert browser.text("#alerts code") == EVIL
    browser.click("#alerts button.primary")
    wait_until(lambda: "Acknowledged by Ann" in browser.text("#alerts"), what="the acknowledgement")
    assert browser.count("main img") == 0
    assert browser.complaints() == []


def test_a_frozen_database_is_told(
    window: Browser, tmp_path: Path, own_postgres: PostgresServer, redis_server: RedisServer
) -> None:
    """While PostgreSQL hangs the page goes on, says what is down and since when, and recovers."""
    settings = {"DATABASE_URL": own_postgres.new_database(), "REDIS_URL": redis_server.url(), "STATUS_PAGE": "true"}
    (tmp_path / "wsgi.py").write_text(WSGI)
    with serving(gunicorn("wsgi:app", "-k", "gthread", "--threads", "4", workers=1), tmp_path, **settings) as running:
        window.open(f"{running.url}/status")
        wait_until(lambda: window.text("h1") == "All well", what="the headline of health")
        with own_postgres.frozen():
            wait_until(lambda: window.text("h1").startswith("Down: database"), what="the headline of the fault")
            wait_until(lambda: "database does not answer" in window.text("#verdict"), what="the note")
        wait_until(lambda: window.text("h1") == "All well", what="the headline of health again")
        window.open("about:blank")


def test_the_page_outlives_its_server(service: tuple[Browser, Running]) -> None:
    """When the server is stopped the page says that it is out of touch."""
    browser, running = service
    running.stop()
    wait_until(lambda: "Connection lost" in browser.text("#lost"), what="the banner")


@pytest.mark.parametrize("view", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_real_page_is_readable(service: tuple[Browser, Running], view: tuple[int, int]) -> None:
    """With real content too, names, contrast and width are right in light and dark."""
    browser, running = service
    running.ask("/evil")
    wait_until(lambda: "in a title" in browser.text("#alerts"), what="the alert")
    browser.size(*view, phone=view is PHONE)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for dark in (False, True):
        browser.dark(dark=dark)
        assert (browser.lacks(), browser.pale(), browser.overflow()) == ([], [], 0)
