"""/livez, /readyz and /healthz as machines see them."""

import json
import os
import signal
import threading
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from settings.probe import HealthStatus
from settings.status.probes import LIVE, ProbesFirst
from tests.status.conftest import TOKEN, FakeService, MakeApp, World

PATHS = ["/livez", "/readyz", "/healthz"]
DOWN: dict[str, Any] = {"status": HealthStatus.UNHEALTHY, "code": "connection-refused", "cause": "no server at db:5432"}


def body(response: TestResponse) -> dict[str, Any]:
    """Return the JSON of an answer."""
    return dict(json.loads(response.get_data()))


@pytest.mark.parametrize("path", PATHS)
def test_all_well_is_200_and_kept_by_no_cache(make_app: MakeApp, path: str) -> None:
    """Each probe says pass in the health format and forbids caching."""
    response = make_app().test_client().get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/health+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert body(response)["status"] == "pass"


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_and_no_body(make_app: MakeApp, path: str) -> None:
    """HEAD answers like GET, without the body."""
    client = make_app(page=False).test_client()
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.headers["Content-Length"]) == (200, get.headers["Content-Length"])
    assert head.get_data() == b""


@pytest.mark.parametrize("path", PATHS)
def test_post_is_not_allowed(make_app: MakeApp, path: str) -> None:
    """Probes only tell; nothing can be sent to them."""
    assert make_app().test_client().post(path).status_code == 405


@pytest.mark.parametrize(
    ("service", "status", "ready", "verdict"),
    [
        ("database", HealthStatus.UNHEALTHY, 503, "fail"),
        ("database", HealthStatus.UNKNOWN, 503, "fail"),
        ("database", HealthStatus.FALLBACK, 200, "warn"),
        ("migrations", HealthStatus.UNHEALTHY, 503, "fail"),
        ("migrations", HealthStatus.FALLBACK, 200, "warn"),
        ("cache", HealthStatus.UNHEALTHY, 200, "pass"),
        ("cache", HealthStatus.FALLBACK, 200, "pass"),
        ("cache", HealthStatus.DISABLED, 200, "pass"),
    ],
)
def test_only_critical_services_decide_readiness(
    make_app: MakeApp, world: World, service: str, status: HealthStatus, ready: int, verdict: str
) -> None:
    """A critical service that is down makes the process unready; one on its fallback warns; others say nothing."""
    world.change(service, status=status)
    response = make_app().test_client().get("/readyz")
    assert (response.status_code, body(response)["status"]) == (ready, verdict)


@pytest.mark.parametrize(
    ("service", "status", "code", "verdict"),
    [
        ("cache", HealthStatus.FALLBACK, 200, "warn"),
        ("cache", HealthStatus.UNHEALTHY, 200, "warn"),
        ("cache", HealthStatus.DISABLED, 200, "pass"),
        ("database", HealthStatus.UNHEALTHY, 503, "fail"),
    ],
)
def test_health_is_the_worst_of_all_services(
    make_app: MakeApp, world: World, service: str, status: HealthStatus, code: int, verdict: str
) -> None:
    """Health counts the services that readiness leaves out, as a warning."""
    world.change(service, status=status)
    response = make_app(page=False).test_client().get("/healthz")
    assert (response.status_code, body(response)) == (code, {"status": verdict})


def test_readiness_names_the_code_but_no_detail(make_app: MakeApp, world: World) -> None:
    """Whoever may not see details learns which check fails and its code, not the server's name."""
    world.change("database", **DOWN)
    response = make_app(page=False).test_client().get("/readyz?verbose")
    assert body(response)["output"] == "database: connection-refused"
    assert body(response)["checks"] == {"database": [{"status": "fail"}], "migrations": [{"status": "pass"}]}
    assert b"db:5432" not in response.get_data()


def test_health_has_a_row_a_service_for_those_allowed(make_app: MakeApp, world: World) -> None:
    """With the token health says of each service what a person needs."""
    world.change("database", **DOWN)
    client = make_app(page=False, token=TOKEN).test_client()
    rows = body(client.get("/healthz", headers={"Authorization": f"Bearer {TOKEN}"}))["checks"]
    assert list(rows) == ["database", "migrations", "cache"]
    assert rows["database"][0]["output"] == "no server at db:5432"
    assert rows["cache"][0]["since"] == "2026-11-20T10:00:00Z"
    assert "checks" not in body(client.get("/healthz", headers={"Authorization": "Bearer wrong"}))


def test_a_process_that_ends_lives_but_is_not_ready(make_app: MakeApp, world: World) -> None:
    """While shutting down /livez stays 200 and /readyz says why it is 503."""
    client = make_app().test_client()
    world.closing = True
    assert client.get("/livez").status_code == 200
    response = client.get("/readyz")
    assert response.status_code == 503
    assert body(response)["output"].startswith("shutting-down")


def test_health_that_cannot_be_told_is_503(
    make_app: MakeApp, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in the sources is an answer and a log line, not an exception."""
    client = make_app().test_client()
    monkeypatch.setattr(world, "services", 1)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert body(response)["output"].startswith("health-unavailable")
    assert "health-unavailable" in caplog.text


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_nothing_of_the_application_touches_a_probe(make_app: MakeApp, world: World, path: str) -> None:
    """Guards, error handlers, catch-all routes and after-request hooks of the application stay out."""
    app = Flask("guarded")
    app.config["TRUSTED_HOSTS"] = ["example.com"]

    @app.before_request
    def guard() -> tuple[str, int]:
        return "log in first", 302

    @app.errorhandler(Exception)
    def handler(error: Exception) -> tuple[str, int]:
        return str(error), 418

    @app.route("/<path:anything>")
    def everything(anything: str) -> str:
        return anything

    response = make_app(app=app).test_client().get(path)
    assert (response.status_code, body(response)["status"]) == (200, "pass")


def test_prefix_moves_every_route(make_app: MakeApp) -> None:
    """STATUS_PREFIX stands in front of all routes, and the application keeps its own."""
    app = Flask("own")
    app.add_url_rule("/livez", "own", lambda: "mine")
    client = make_app(app=app, prefix="/ops").test_client()
    assert client.get("/livez").text == "mine"
    assert [client.get(f"/ops{path}").status_code for path in [*PATHS, "/status"]] == [200] * 4


def test_routes_are_in_the_map(make_app: MakeApp) -> None:
    """`url_for` and `flask routes` know them."""
    app = make_app(prefix="/ops")
    with app.test_request_context():
        assert app.url_for("twelvefactor.livez") == "/ops/livez"
        assert app.url_for("twelvefactor.status") == "/ops/status"


def test_an_unknown_service_of_the_application_counts(make_app: MakeApp, world: World) -> None:
    """A critical probe that the application registered decides readiness like ours."""
    world.services["ledger"] = FakeService("ledger", HealthStatus.UNHEALTHY, critical=True)
    response = make_app().test_client().get("/readyz")
    assert (response.status_code, body(response)["output"]) == (503, "ledger: unhealthy")


def test_a_child_does_not_wait_for_what_its_parent_settles() -> None:
    """A fork may come while another thread holds the lock of the first request."""
    settling, forked = threading.Event(), threading.Event()

    def settle() -> None:
        settling.set()
        forked.wait(10)

    probes = ProbesFirst(lambda _environ, _start: [], {"/livez": lambda _environ: LIVE}, settle)
    first = threading.Thread(target=probes, args=({"PATH_INFO": "/"}, lambda *_: None))
    first.start()
    assert settling.wait(10)
    if (child := os.fork()) == 0:
        signal.alarm(5)
        forked.set()
        answer = probes({"PATH_INFO": "/livez", "REQUEST_METHOD": "GET"}, lambda *_: None)
        os._exit(list(answer) != [LIVE[1]])
    status = os.waitpid(child, 0)[1]
    forked.set()
    first.join(10)
    assert os.waitstatus_to_exitcode(status) == 0
