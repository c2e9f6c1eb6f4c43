"""The routes beside the application's own."""

import pytest
from flask import Flask
from flask.cli import routes_command

from tests.status.conftest import TOKEN, MakeApp

PATHS = ["/livez", "/readyz", "/healthz", "/metrics", "/status"]


@pytest.mark.parametrize("late", [False, True], ids=["added before", "added after"])
@pytest.mark.parametrize("path", PATHS)
def test_a_route_of_the_application_stays_its_own(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, path: str, late: bool
) -> None:
    """An application with such a path keeps it, whenever it adds it, and is told once of STATUS_PREFIX."""
    app = Flask("own")
    if late:
        make_app(app=app)
    app.add_url_rule(path, "own", lambda: "mine")
    if not late:
        make_app(app=app)
    client = app.test_client()
    assert [client.get(path).text, client.get(path).text] == ["mine", "mine"]
    assert [client.get(each).status_code for each in PATHS if each != path] == [200] * 4
    assert caplog.text.count("status-route-taken") == 1
    assert f"route {path} of its own" in caplog.text


def test_a_path_with_a_slash_at_its_end_is_the_same(make_app: MakeApp) -> None:
    """An application whose page is /status/ is led there from /status, as without us."""
    app = make_app()
    app.add_url_rule("/status/", "own", lambda: "mine")
    assert app.test_client().get("/status", follow_redirects=True).text == "mine"


def test_a_catch_all_takes_nothing(make_app: MakeApp) -> None:
    """A rule for every path leaves ours alone, and has every other."""
    app = make_app()
    app.add_url_rule("/<path:anything>", "all", lambda anything: anything)
    client = app.test_client()
    assert [client.get(path).status_code for path in PATHS] == [200] * 5
    assert client.get("/status/nothing").text == "status/nothing"


def test_url_for_knows_a_route_that_gave_way(make_app: MakeApp) -> None:
    """The endpoint stays in the map: an application that names it does not break."""
    app = make_app()
    app.add_url_rule("/status", "own", lambda: "mine")
    assert app.test_client().get("/status").text == "mine"
    with app.test_request_context():
        assert app.url_for("twelvefactor.status") == "/status"
    assert "twelvefactor.status" in app.test_cli_runner().invoke(routes_command).output


def test_where_routes_are_told_apart_by_host(make_app: MakeApp) -> None:
    """With host_matching every route answers to each name of the machine, and `url_for` knows them."""
    app = make_app(app=Flask("hosts", host_matching=True, static_host="shop.example"))
    app.add_url_rule("/status", "own", lambda: "mine", host="shop.example")
    client = app.test_client()
    for base in ("http://localhost", "http://127.0.0.1:8000"):
        assert [client.get(path, base_url=base).status_code for path in PATHS] == [200] * 5
    assert client.get("/status", base_url="http://shop.example").text == "mine"
    with app.test_request_context(base_url="http://127.0.0.1:8000"):
        assert app.url_for("twelvefactor.healthz") == "/healthz"
    app.config["SERVER_NAME"] = "shop.example"
    with app.app_context():
        assert app.url_for("twelvefactor.healthz") == "http://shop.example/healthz"


@pytest.mark.filterwarnings("ignore:Current server name")
def test_where_subdomains_are_told_apart(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """With subdomain_matching every route answers to an address too, as a scrape asks; a subdomain is the app's own."""
    app = Flask("subdomains", subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example"
    app = make_app(app=app, token=TOKEN)
    app.add_url_rule("/<path:anything>", "tenant", lambda **_: "tenant", subdomain="<tenant>")
    app.add_url_rule("/metrics", "own", lambda: "mine")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    bases = ("http://shop.example", "http://10.0.0.1:8000", "http://web:8000")
    found = {base: [client.get(path, base_url=base) for path in PATHS if path != "/metrics"] for base in bases}
    assert [[each.status_code for each in answers] for answers in found.values()] == [[200] * 4] * 3
    with client.get("/status/static/status.css", base_url=bases[1]) as style:
        assert style.mimetype == "text/css"
    assert client.options("/healthz", base_url=bases[1]).headers["Allow"]
    assert client.get("/status", base_url="http://a.shop.example").text == "tenant"
    assert client.get("/metrics", base_url=bases[0]).text == "mine"
    assert caplog.text.count("status-route-taken") == 1
    with app.app_context():
        assert app.url_for("twelvefactor.healthz") == "http://shop.example/healthz"
