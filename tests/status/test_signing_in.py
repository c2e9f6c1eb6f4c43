"""Who signs in, and who may change an alert."""

import io

import pytest
from flask.testing import FlaskClient

from settings.status.access import COOKIE
from tests.status.conftest import TOKEN, MakeApp, World

OWN = {"Origin": "http://localhost"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
AWAY = {"REMOTE_ADDR": "203.0.113.9"}


def signed_in(client: FlaskClient, name: str = "Ann") -> FlaskClient:
    """Sign a browser in."""
    answer = client.post("/status/sign-in", data={"token": TOKEN, "name": name}, headers=OWN)
    assert answer.status_code == 303
    return client


def test_signing_in_gives_a_careful_cookie(make_app: MakeApp) -> None:
    """The cookie is HttpOnly, SameSite=Strict, for the page's path only, without the token; Secure over TLS."""
    client = make_app(page=False, token=TOKEN, prefix="/ops").test_client()
    for base, secure in [("http://localhost", False), ("https://localhost", True)]:
        answer = client.post("/ops/status/sign-in", data={"token": TOKEN}, headers={"Origin": base}, base_url=base)
        cookie = answer.headers["Set-Cookie"]
        assert all(word in cookie for word in (COOKIE, "HttpOnly", "SameSite=Strict", "Path=/ops/status"))
        assert ("Secure" in cookie) is secure
        assert TOKEN not in cookie


def test_signing_in_and_out(make_app: MakeApp) -> None:
    """A browser that knows the token sees the page until it signs out."""
    client = make_app(page=False, token=TOKEN, environment="production").test_client()
    assert 'name="token"' in client.get("/status").text
    page = signed_in(client).get("/status")
    assert (page.status_code, "Sign out Ann" in page.text) == (200, True)
    client.post("/status/sign-out", headers=OWN)
    assert client.get("/status").status_code == 401


def test_a_wrong_token_is_told(make_app: MakeApp) -> None:
    """A wrong token gives no cookie and says which variable holds the right one."""
    client = make_app(page=False, token=TOKEN).test_client()
    answer = client.post("/status/sign-in", data={"token": "guess"}, headers=OWN)
    assert (answer.status_code, "Set-Cookie" in answer.headers, "STATUS_TOKEN" in answer.text) == (401, False, True)
    assert "guess" not in answer.text


def test_signing_in_takes_no_upload(make_app: MakeApp) -> None:
    """A stranger's body is bounded, whatever it claims to be."""
    client = make_app(page=False, token=TOKEN).test_client()
    for data in ({"token": "x" * 20_000}, {"token": (io.BytesIO(b"x" * 20_000), "file")}):
        assert client.post("/status/sign-in", data=data, headers=OWN).status_code == 413


def test_a_wrong_token_is_logged(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever guesses leaves a line with the address, and without the guess."""
    make_app(page=False, token=TOKEN).test_client().post(
        "/status/sign-in", data={"token": "guess"}, headers=OWN, environ_base=AWAY
    )
    assert "203.0.113.9" in caplog.text
    assert "wrong-token" in caplog.text
    assert "guess" not in caplog.text


def test_acknowledge_and_resolve(make_app: MakeApp, world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Who signed in acknowledges under their name, then resolves; page and log show both."""
    world.alerts.add(title="checkout is slow")
    client = signed_in(make_app(page=False, token=TOKEN, environment="production").test_client(), "Ann")
    assert "checkout is slow" in client.get("/status").text
    with caplog.at_level("INFO"):
        assert client.post("/status/alerts/1/acknowledge", headers=OWN).status_code == 303
    assert "alert 1: acknowledge, by 'Ann'" in caplog.text
    assert "Acknowledged by Ann" in client.get("/status").text
    assert client.post("/status/alerts/1/resolve", headers=OWN).headers["Location"] == "/status#alerts"
    assert "checkout is slow" not in client.get("/status").text


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}, {**OWN, "Sec-Fetch-Site": "cross-site"}])
def test_another_site_changes_nothing(make_app: MakeApp, world: World, headers: dict[str, str]) -> None:
    """A form of another site is refused, with the cookie and without, whatever an error handler makes of errors."""
    world.alerts.add()
    app = make_app(token=TOKEN)
    app.register_error_handler(Exception, lambda _error: ("never mind", 200))
    client = signed_in(app.test_client())
    answer = client.post("/status/alerts/1/resolve", headers=headers)
    assert (answer.status_code, world.alerts.rows[0]["status"]) == (403, "active")
    assert client.post("/status/sign-in", data={"token": TOKEN}, headers=headers).status_code == 403


def test_any_authorization_is_no_token(make_app: MakeApp, world: World) -> None:
    """In development too: a header that a browser sends by itself, as for Basic, does not stand for the token."""
    world.alerts.add()
    headers = {"Authorization": "Basic Zm9vOmJhcg==", "Origin": "http://evil.example"}
    assert make_app().test_client().post("/status/alerts/1/resolve", headers=headers).status_code == 403
    assert world.alerts.rows[0]["status"] == "active"


def test_outside_development_only_a_token_changes(make_app: MakeApp, world: World) -> None:
    """STATUS_PAGE alone shows the page in production but offers and takes no change."""
    world.alerts.add()
    client = make_app(environment="production").test_client()
    assert "Acknowledge" not in client.get("/status").text
    assert client.post("/status/alerts/1/resolve", headers=OWN).status_code == 404
    assert world.alerts.rows[0]["status"] == "active"


def test_a_script_with_the_token_needs_no_origin(make_app: MakeApp, world: World) -> None:
    """A Bearer token cannot come from another site's form, so no Origin is asked for."""
    world.alerts.add()
    client = make_app(page=False, token=TOKEN, environment="production").test_client()
    assert client.post("/status/alerts/1/acknowledge", headers=BEARER).status_code == 303
    assert world.alerts.rows[0]["acknowledged_by"] == "status page"


def test_in_development_this_machine_changes(make_app: MakeApp, world: World) -> None:
    """In development the page itself may change alerts without a token."""
    world.alerts.add()
    assert make_app().test_client().post("/status/alerts/1/acknowledge", headers=OWN).status_code == 303
    assert world.alerts.rows[0]["status"] == "acknowledged"


def test_a_change_that_fails_says_so(make_app: MakeApp, world: World) -> None:
    """When the database refuses, the answer is 503 and says what to do."""
    world.alerts.add()
    world.alerts.broken = OSError("database is gone")
    answer = make_app().test_client().post("/status/alerts/1/resolve", headers=OWN)
    assert (answer.status_code, "the log says why" in answer.text) == (503, True)
    assert "database is gone" not in answer.text


def test_a_change_that_came_second_is_no_success(make_app: MakeApp, world: World) -> None:
    """Who acknowledges what somebody else has taken is told, and does not take it over."""
    world.alerts.add(status="acknowledged", acknowledged_by="Bob")
    client = signed_in(make_app(token=TOKEN).test_client())
    answer = client.post("/status/alerts/1/acknowledge", headers=OWN)
    assert (answer.status_code, "somebody else" in answer.text.lower()) == (409, True)
    assert world.alerts.rows[0]["acknowledged_by"] == "Bob"
