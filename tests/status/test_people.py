"""/status as a client sees it."""

import re
import threading
import time

import pytest

from settings.probe import HealthStatus
from tests.servers import wait_until
from tests.status.conftest import SINCE, TOKEN, FakeError, FakeJob, FakeService, FakeSnapshot, MakeApp, World

OWN = {"Origin": "http://localhost"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
AWAY = {"REMOTE_ADDR": "203.0.113.9"}
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


def test_the_page_names_every_service(make_app: MakeApp) -> None:
    """In development a caller on this machine sees the page."""
    response = make_app().test_client().get("/status")
    assert response.status_code == 200
    assert all(name in response.text for name in ("database", "migrations", "cache"))


@pytest.mark.parametrize("path", ["/status", "/metrics", "/status/static/status.css", "/status/sign-in"])
def test_without_permission_there_is_nothing(make_app: MakeApp, path: str) -> None:
    """Without a token set, a stranger gets the application's own 404, as for any unknown path."""
    client = make_app(page=False).test_client()
    get = client.post if path.endswith("sign-in") else client.get
    response, unknown = get(path), get("/no-such-path")
    assert (response.status_code, response.text) == (unknown.status_code, unknown.text) == (404, unknown.text)


WAYS = ["/status", "//status", "/metrics", "/status/static/status.css", "/status/sign-in"]
WAYS += ["/status/sign-out", "/status/alerts/1/resolve"]


@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
def test_no_method_and_no_way_gives_the_page_away(make_app: MakeApp, page: bool, method: str) -> None:
    """Where there is no token, a stranger's answer never differs from that of a path that nobody has."""
    client = make_app(page=page).test_client()
    for path in WAYS:
        found, unknown = (client.open(each, method=method, environ_base=AWAY) for each in (path, "/no-such-path"))
        assert (found.status_code, found.text) == (404, unknown.text), path
        assert list(found.headers.keys()) == list(unknown.headers.keys())


def test_other_methods_are_refused(make_app: MakeApp) -> None:
    """Those who may see the page are told which methods there are."""
    answer = make_app().test_client().delete("/status")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_reloading_after_a_form_leads_back(make_app: MakeApp) -> None:
    """A browser that asks again for what a form was sent to comes to the page instead of an error."""
    answer = make_app(page=False, token=TOKEN).test_client().get("/status/sign-in")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/status")


def test_no_permission_asks_no_source(make_app: MakeApp, world: World) -> None:
    """A stranger costs nothing and can measure nothing: no source is asked."""
    client = make_app(page=False, token=TOKEN).test_client()
    world.services = None  # type: ignore[assignment] # any use would raise
    answers = [client.get(path, environ_base=AWAY) for path in ("/status", "/metrics", "/status?live")]
    assert [each.status_code for each in answers] == [401, 401, 401]
    assert (world.alerts.asked, len({each.text for each in answers})) == (0, 1)
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


def test_a_token_opens_from_anywhere(make_app: MakeApp) -> None:
    """STATUS_TOKEN opens the page in production from another machine."""
    client = make_app(page=False, token=TOKEN, environment="production").test_client()
    assert client.get("/status", headers=BEARER, environ_base=AWAY).status_code == 200


def test_policy_forbids_what_the_page_does_not_need(make_app: MakeApp) -> None:
    """The policy allows no inline script or style, and the page has none."""
    response = make_app().test_client().get("/status")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", response.text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', response.text)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["status.css", "status.js", "pass.svg", "warn.svg", "fail.svg", "unknown.svg"])
def test_assets_are_served(make_app: MakeApp, name: str) -> None:
    """What the page names is there, with the same care for headers."""
    response = make_app(prefix="/ops").test_client().get(f"/ops/status/static/{name}")
    assert (response.status_code, response.headers["X-Content-Type-Options"]) == (200, "nosniff")
    response.close()


@pytest.mark.parametrize(
    "path", ["/status/static/../routes.py", "/status/static/%2e%2e/routes.py", "/status/static/none.css"]
)
def test_no_other_file_is_served(make_app: MakeApp, path: str) -> None:
    """The folder of assets cannot be left."""
    assert make_app().test_client().get(path).status_code == 404


def test_text_stays_text(make_app: MakeApp, world: World) -> None:
    """Nothing that a user of the application can write becomes markup."""
    world.change("cache", status=HealthStatus.FALLBACK, detail=EVIL, cause=EVIL, fix=EVIL, facts={EVIL: EVIL})
    world.alerts.add(
        title=EVIL, description=EVIL, endpoint=EVIL, service_name=EVIL, acknowledged_by=EVIL, status="acknowledged"
    )
    world.errors = [FakeError(EVIL, example=EVIL)]
    world.jobs = [FakeJob(EVIL, last_outcome="failed", last_error=EVIL, owner=EVIL)]
    world.settings = [("app", "APP_NAME", EVIL, EVIL)]
    text = make_app().test_client().get("/status").text
    assert "<script>" not in text
    assert "<img" not in text
    assert text.count("&lt;script&gt;") >= 15


def test_a_frozen_database_costs_under_a_second(make_app: MakeApp, world: World) -> None:
    """When the tables hang, the page answers with what is known and says what is not."""
    client = make_app().test_client()
    world.alerts.hold = threading.Event()
    begin = time.monotonic()
    page = client.get("/status")
    assert time.monotonic() - begin < 1 + 1  # a busy machine takes its time to compile the page
    assert (page.status_code, "The database does not answer" in page.text) == (200, True)
    world.alerts.hold.set()


def test_the_page_counts_processes_here_and_elsewhere(make_app: MakeApp, world: World) -> None:
    """The page speaks for all processes and says where they are."""
    services = [{"name": "cache", "status": "fallback", "cause": "refused", "since": SINCE.timestamp()}]
    world.snapshots = [FakeSnapshot("web-2:7", body={"services": services}), FakeSnapshot("web-3:8", host="web-3")]
    text = make_app().test_client().get("/status").text
    assert "3 processes: 1 on this machine, 2 on 2 other machines" in " ".join(text.split())
    assert "fallback in 1 of 2 processes" in text


def test_a_share_is_told_only_while_the_others_are_heard_of(make_app: MakeApp, world: World) -> None:
    """When the database does not answer, what the others said last is no news: this process speaks for itself."""
    world.snapshots = [FakeSnapshot("web-2:7", body={"services": [{"name": "database", "status": "healthy"}]})]
    world.change("database", status=HealthStatus.UNHEALTHY)
    client = make_app().test_client()
    assert "unhealthy in 1 of 2 processes" in client.get("/status").text
    world.alerts.broken = OSError("gone")
    wait_until(lambda: "unhealthy as this process sees it" in client.get("/status").text, seconds=10, what="the doubt")


def test_half_a_letter_takes_no_page_down(make_app: MakeApp, world: World) -> None:
    """What JSON of a user can smuggle into a message, and no encoder takes, is shown as its escape."""
    world.alerts.add(title="no \ud800 order")
    world.errors, world.jobs = [FakeError("x", example="no \ud801 order")], [FakeJob("j", last_error="no \ud802 order")]
    world.change("cache", status=HealthStatus.FALLBACK, code="\ud803", cause="no \ud804 Redis")
    client = make_app().test_client()
    assert all(rf"\ud80{n}" in client.get("/status").text for n in (0, 1, 2, 4))
    assert client.get("/healthz").status_code == 200


def test_what_says_nothing_is_left_out(make_app: MakeApp, world: World) -> None:
    """No count of nothing, no empty example, no latency of what is disabled."""
    world.services = {"websocket": FakeService("websocket", HealthStatus.DISABLED)}
    world.errors = [FakeError("f2a1", seen=2, suppressed=0, example="")]
    text = make_app().test_client().get("/status").text
    assert not [words for words in ("held back", "Example", "<polyline") if words in text]
    assert "f2a1 in the log" in text


def test_empty_states_say_what_is_normal(make_app: MakeApp) -> None:
    """A page without alerts, errors and jobs says that this is well."""
    text = make_app().test_client().get("/status").text
    assert all(words in text for words in ("No open alerts", "No errors since", "No background jobs"))


def test_polling_leaves_out_what_does_not_change(make_app: MakeApp, world: World) -> None:
    """The part that polls is smaller: settings and boot report are sent once."""
    world.settings = [("app", "APP_NAME", "shop", "environment")]
    client = make_app().test_client()
    assert "APP_NAME" in client.get("/status").text
    assert "APP_NAME" not in client.get("/status?live").text


def test_mounted_below_a_path(make_app: MakeApp) -> None:
    """Links and cookie follow the path under which the application is mounted."""
    client = make_app(token=TOKEN, page=False, prefix="/ops").test_client()
    environ = {"SCRIPT_NAME": "/api"}
    assert 'action="/api/ops/status/sign-in"' in client.get("/ops/status", environ_overrides=environ).text
    answer = client.post("/ops/status/sign-in", data={"token": TOKEN}, headers=OWN, environ_overrides=environ)
    assert "Path=/api/ops/status" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("root", ["//evil.example", "/evil.example/"])
def test_no_prefix_leads_to_another_host(make_app: MakeApp, root: str) -> None:
    """A prefix with two slashes, as a client may write it through a proxy that passes it on, stays a path."""
    text = make_app(token=TOKEN, page=False).test_client().get("/status", environ_overrides={"SCRIPT_NAME": root}).text
    assert set(re.findall(r'(?:href|action)="(.*?)/status', text)) == {"/evil.example"}
