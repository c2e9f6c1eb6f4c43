"""The page in a real browser, over sources that the test changes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from selenium.webdriver.common.keys import Keys
from werkzeug.serving import make_server

from settings.probe import HealthStatus
from tests.servers import free_port, wait_until
from tests.status.browser import DESKTOP, PHONE, Browser, chromium
from tests.status.conftest import TOKEN, FakeError, FakeJob, FakeSnapshot, MakeApp, World

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
LONG = "postgresql://application:***@a-very-long-name-of-a-host.in.some.region.of.some.cloud.example:5432/database"
CONTROLS = "[...document.querySelectorAll('a[href], button, summary')].filter((e) => e.checkVisibility())"
FOCUSED = """
const e = document.activeElement;
return [e.localName, e.getBoundingClientRect().top + scrollY, getComputedStyle(e).outlineStyle];
"""


@contextmanager
def serving(app: Flask, port: int) -> Iterator[str]:
    """Serve an application on a thread for the length of a with block."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(window: Browser, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The browser, as on a desktop, without cookies; pages poll five times a second."""
    monkeypatch.setattr("settings.status.pages.POLL_SECONDS", 0.2)
    window.open("about:blank")
    window.forget_cookies()
    window.size(*DESKTOP)
    window.dark(dark=False)
    window.complaints()
    return window


@pytest.fixture
def full_world(world: World) -> World:
    """A world with something in every part of the page, and in the worst of words."""
    world.change(
        "database", status=HealthStatus.UNHEALTHY, detail=LONG, cause="nothing listens there", fix="start it", code="x"
    )
    world.change("cache", status=HealthStatus.FALLBACK, detail="redis", facts={"mode": "fallback", "hits": 123456})
    world.change("migrations", status=HealthStatus.DISABLED, latency_ms=None, latencies=())
    for severity in ("critical", "high", "medium", "low"):
        world.alerts.add(
            severity=severity,
            title=f"{severity} {LONG}",
            endpoint=f"shop.{severity}",
            metric_value=0.2,
            threshold_value=0.1,
        )
    world.alerts.add(title="taken", status="acknowledged", acknowledged_by="Ann")
    world.errors = [FakeError("a", example=f"ValueError: {LONG}\n  at line"), FakeError("b", example=EVIL)]
    world.jobs = [FakeJob("report", last_outcome="failed", last_error=LONG, owner=LONG), FakeJob("cleanup")]
    world.snapshots = [FakeSnapshot("web-2:7"), FakeSnapshot("web-3:8", host="web-3")]
    world.settings = [("database", "DATABASE_URL", LONG, "DATABASE_URL_FILE=/run/secrets/database")]
    return world


@contextmanager
def page(browser: Browser, app: Flask) -> Iterator[Browser]:
    """Open the status page of a served application."""
    with serving(app, free_port()) as url:
        browser.open(f"{url}/status")
        yield browser
        browser.open("about:blank")


def test_the_page_lives_without_a_reload(browser: Browser, make_app: MakeApp, world: World) -> None:
    """From all well to degraded and back, title and icon too, in the same document."""
    with page(browser, make_app()):
        browser.run("window.sameDocument = true")
        assert browser.text("h1") == "All well"
        world.change("cache", status=HealthStatus.FALLBACK, cause="refused", fix="start Redis")
        wait_until(lambda: browser.text("h1") == "Degraded: cache", seconds=10, what="the degraded headline")
        assert "start Redis" in browser.text("#service-cache")
        assert browser.driver.title == "Degraded: cache · shop"
        assert browser.run("return document.getElementById('icon').href").endswith("warn.svg")
        assert browser.run("return document.getElementById('news').textContent") == "Degraded: cache"
        world.change("cache", status=HealthStatus.HEALTHY, cause="", fix="")
        wait_until(lambda: browser.text("h1") == "All well", seconds=10, what="the headline of health")
        assert browser.run("return window.sameDocument") is True
        assert browser.complaints() == []


def test_a_click_acknowledges_an_alert(browser: Browser, make_app: MakeApp, world: World) -> None:
    """One click acknowledges, the next resolves, without leaving the page."""
    world.alerts.add(title="checkout is slow")
    with page(browser, make_app()):
        browser.run("window.sameDocument = true")
        browser.click("#alert-1 button.primary")
        wait_until(lambda: "Acknowledged by" in browser.text("#alert-1"), seconds=10, what="the acknowledgement")
        assert world.alerts.rows[0]["status"] == "acknowledged"
        browser.click("#alert-1 button")
        wait_until(lambda: browser.count("#alert-1") == 0, seconds=10, what="the end of the alert")
        assert "No open alerts" in browser.text("#alerts")
        assert browser.run("return window.sameDocument") is True


def test_a_failed_click_says_so(browser: Browser, make_app: MakeApp, world: World) -> None:
    """When the change fails, a message says so and the button can be used again."""
    world.alerts.add()
    with page(browser, make_app()):
        world.alerts.broken = OSError("gone")
        browser.run("document.querySelector('#alert-1 button.primary').click()")
        wait_until(lambda: "503" in browser.text("#failed"), seconds=10, what="the message")
        world.alerts.broken = None
        wait_until(lambda: browser.count("#alert-1 button:enabled") == 2, seconds=10, what="the buttons")
        assert "503" in browser.text("#failed")
        browser.click("#alert-1 button.primary")
        wait_until(lambda: browser.text("#failed") == "", seconds=10, what="the end of the message")


def test_a_click_that_came_second_says_so(
    browser: Browser, make_app: MakeApp, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who clicks what a colleague has just taken reads that."""
    world.alerts.add()
    monkeypatch.setattr(world.alerts, "acknowledge", lambda *_, **__: False)
    with page(browser, make_app()):
        browser.click("#alert-1 button.primary")
        wait_until(lambda: "somebody else was first" in browser.text("#failed"), seconds=10, what="the message")


def test_hostile_text_stays_text(browser: Browser, make_app: MakeApp, world: World) -> None:
    """Markup in an error, an alert, an endpoint and a service is shown, not run; also after polling."""
    world.change("cache", status=HealthStatus.FALLBACK, cause=EVIL, detail=EVIL)
    world.alerts.add(title=EVIL, endpoint=EVIL, description=EVIL)
    world.errors, world.jobs = [FakeError(EVIL, example=EVIL)], [FakeJob(EVIL, last_error=EVIL, last_outcome="failed")]
    with page(browser, make_app()):
        world.alerts.add(title=f"later {EVIL}")
        wait_until(lambda: "later <img" in browser.text("#alerts"), seconds=10, what="the later alert")
        assert (browser.count("main img"), browser.count("main script")) == (0, 0)
        assert browser.complaints() == []


def test_what_a_person_opened_stays_open(browser: Browser, make_app: MakeApp, full_world: World) -> None:
    """Polling keeps an opened example open and the focus where it is, whatever comes above it."""
    with page(browser, make_app()):
        browser.run("document.querySelector('[data-key=a] summary').click()")
        browser.run("document.querySelector('[data-key=a] summary').focus()")
        full_world.errors.insert(0, FakeError("new", seen=99, example="KeyError: new"))
        wait_until(lambda: "KeyError: new" in browser.text("#errors"), seconds=10, what="the new error")
        assert browser.run("return document.querySelector('[data-key=a] details').open") is True
        assert browser.run("return document.querySelector('[data-key=new] details').open") is False
        assert browser.run("return document.activeElement === document.querySelector('[data-key=a] summary')") is True


def test_a_lost_connection_is_confessed(browser: Browser, make_app: MakeApp) -> None:
    """When the server is gone the page says since when it knows nothing, and recovers by itself."""
    app, port = make_app(), free_port()
    with serving(app, port) as url:
        browser.open(f"{url}/status")
    wait_until(lambda: "Connection lost" in browser.text("#lost"), seconds=10, what="the banner")
    assert "UTC" in browser.text("#lost")
    assert browser.driver.title.startswith("Connection lost")
    assert browser.text("#pulse").startswith("Lost, as of")
    assert browser.pale() == []
    with serving(app, port):
        wait_until(lambda: browser.text("#lost") == "", seconds=20, what="the end of the banner")
        assert browser.driver.title == "All well · shop"
        browser.open("about:blank")


def test_signing_in_by_keyboard(browser: Browser, make_app: MakeApp, world: World) -> None:
    """A person signs in with the keyboard alone, acknowledges under their name, and signs out."""
    world.alerts.add()
    with page(browser, make_app(page=False, token=TOKEN, environment="production")):
        browser.type("#token", f"wrong{Keys.ENTER}")
        wait_until(lambda: browser.count("[role=alert]") == 1, seconds=10, what="the refusal")
        assert (browser.lacks(), browser.pale()) == ([], [])
        browser.type("#token", TOKEN)
        browser.type("#name", f"Ann{Keys.ENTER}")
        wait_until(lambda: browser.count("#verdict") == 1, seconds=10, what="the page")
        browser.click("#alert-1 button.primary")
        wait_until(lambda: "Acknowledged by Ann" in browser.text("#alert-1"), seconds=10, what="the name")
        cookie = browser.driver.get_cookie("twelvefactor_status")
        assert cookie is None or (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/status")
        assert "twelvefactor_status" not in browser.run("return document.cookie")
        browser.click(".top button")
        wait_until(lambda: browser.count("#token") == 1, seconds=10, what="the way to sign in")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("view", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_it(
    browser: Browser, make_app: MakeApp, full_world: World, view: tuple[int, int], dark: bool
) -> None:
    """Names, headings, contrast and targets are right, and nothing scrolls sideways, everything opened too."""
    browser.size(*view, phone=view is PHONE)
    browser.dark(dark=dark)
    with page(browser, make_app()):
        wait_until(lambda: browser.text("h1") == "Down: database; degraded: cache", seconds=10, what="the headline")
        browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert browser.lacks() == []
        assert browser.pale() == []
        assert browser.overflow() == 0
        assert browser.complaints() == []


def test_the_keyboard_goes_from_top_to_bottom(browser: Browser, make_app: MakeApp, full_world: World) -> None:
    """Tab visits every control once, in the order in which they stand, each with a visible focus."""
    with page(browser, make_app()):
        total = browser.run(f"return {CONTROLS}.length")
        tops = []
        for _ in range(total):
            browser.type("body", Keys.TAB)
            name, top, outline = browser.run(FOCUSED)
            assert name in ("a", "button", "summary")
            assert outline != "none"
            tops.append(top)
        assert tops[1:] == sorted(tops[1:])


def test_it_works_without_a_script(browser: Browser, make_app: MakeApp, world: World) -> None:
    """Without JavaScript the page shows everything, its buttons work, and it says that it does not refresh."""
    world.alerts.add()
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        with page(browser, make_app()):
            assert "reload it" in browser.text("noscript")
            browser.click("#alert-1 button.primary")
            wait_until(lambda: browser.shows("#alerts", "Acknowledged"), seconds=10, what="the acknowledgement")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
