"""Who may see the pages and who may change anything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from werkzeug.middleware.proxy_fix import ProxyFix

from settings.status.access import COOKIE, SIGNED_IN_SECONDS, Access, is_local, is_same_origin
from settings.status.model import StatusSettings
from tests.status.conftest import TOKEN

LOCAL = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}
AWAY = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "shop.example"}


def access(*, page: bool = False, token: str | None = None, environment: str = "production", at: float = 0.0) -> Access:
    """Return the rules of these settings, at a moment."""
    secret = None if token is None else SecretStr(token)
    return Access(StatusSettings(prefix="", page=page, token=secret), environment, wall=lambda: at)


@pytest.mark.parametrize(
    ("page", "token", "environment", "environ", "see", "change"),
    [
        (False, None, "development", LOCAL, False, False),
        (True, None, "development", LOCAL, True, True),
        (True, None, "production", LOCAL, True, False),
        (True, None, "development", AWAY, False, False),
        (False, TOKEN, "production", AWAY, False, False),
        (False, TOKEN, "production", {**AWAY, "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}, True, True),
        (False, TOKEN, "production", {**AWAY, "HTTP_AUTHORIZATION": f"bearer  {TOKEN} "}, True, True),
        (False, TOKEN, "production", {**AWAY, "HTTP_AUTHORIZATION": f"Basic {TOKEN}"}, False, False),
        (False, TOKEN, "production", {**AWAY, "HTTP_AUTHORIZATION": "Bearer wrong"}, False, False),
        (False, TOKEN, "production", {**AWAY, "HTTP_AUTHORIZATION": "Bearer "}, False, False),
        (False, None, "production", {**AWAY, "HTTP_AUTHORIZATION": "Bearer "}, False, False),
        (False, None, "production", {**AWAY, "HTTP_AUTHORIZATION": "Bearer \u00e4\udcff"}, False, False),
    ],
)
def test_rules(
    page: bool, token: str | None, environment: str, environ: dict[str, str], see: bool, change: bool
) -> None:
    """A caller sees and changes what STATUS_PAGE, STATUS_TOKEN and APP_ENV allow together."""
    caller = access(page=page, token=token, environment=environment).caller(environ)
    assert (caller.may_see, caller.may_change) == (see, change)


@pytest.mark.parametrize(
    ("changes", "local"),
    [
        ({}, True),
        ({"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"}, True),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        ({"HTTP_HOST": "shop.localhost"}, True),
        ({"HTTP_HOST": "127.0.0.2:80"}, True),
        ({"HTTP_HOST": "evil.example"}, False),
        ({"HTTP_HOST": "localhost.evil.example"}, False),
        ({"HTTP_HOST": "[broken"}, False),
        ({"HTTP_HOST": ""}, False),
        ({"REMOTE_ADDR": ""}, False),
        ({"REMOTE_ADDR": "10.0.0.7"}, False),
        ({"HTTP_X_FORWARDED_FOR": "203.0.113.9"}, False),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
        ({"HTTP_FORWARDED": "for=127.0.0.1"}, False),
        ({"HTTP_VIA": "1.1 cache"}, False),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, False),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1", "werkzeug.proxy_fix.orig": LOCAL}, True),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1, ::1", "werkzeug.proxy_fix.orig": {**LOCAL, "REMOTE_ADDR": ""}}, True),
        ({"HTTP_X_FORWARDED_FOR": "203.0.113.9", "werkzeug.proxy_fix.orig": LOCAL}, False),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1, 203.0.113.9", "werkzeug.proxy_fix.orig": LOCAL}, False),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1", "werkzeug.proxy_fix.orig": {**LOCAL, "REMOTE_ADDR": "10.0.0.7"}}, False),
        (
            {"HTTP_X_FORWARDED_FOR": "127.0.0.1", "werkzeug.proxy_fix.orig": {**LOCAL, "HTTP_HOST": "evil.example"}},
            False,
        ),
        (
            {"HTTP_X_FORWARDED_FOR": "127.0.0.1", "HTTP_X_REAL_IP": "203.0.113.9", "werkzeug.proxy_fix.orig": LOCAL},
            False,
        ),
        ({"HTTP_X_REAL_IP": "127.0.0.1", "werkzeug.proxy_fix.orig": LOCAL}, False),
        ({"werkzeug.proxy_fix.orig": LOCAL}, True),
    ],
)
def test_this_machine_only(changes: dict[str, Any], local: bool) -> None:
    """A proxy's word, a foreign Host (DNS rebinding) and any other address make a request come from elsewhere."""
    assert is_local({**LOCAL, **changes}) is local


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("claimed", [None, "127.0.0.1", "127.0.0.1, 127.0.0.1"])
def test_no_stranger_is_of_this_machine_by_its_own_word(hops: int, claimed: str | None) -> None:
    """Behind one proxy here, whatever APP_PROXY_HOPS says, a stranger's own headers do not make it local."""
    way = ", ".join(filter(None, [claimed, "203.0.113.9"]))
    environ = {**LOCAL, "HTTP_X_FORWARDED_FOR": way, "HTTP_X_FORWARDED_HOST": "localhost", "wsgi.url_scheme": "http"}
    found: list[bool] = []

    def inner(environ: dict[str, Any], _start: object) -> list[bytes]:
        found.append(is_local(environ))
        return []

    ProxyFix(inner, x_for=hops, x_proto=hops, x_host=hops)(environ, lambda *_: len)
    assert found == [False]


def test_a_cookie_signs_in_with_its_name() -> None:
    """The cookie that was given opens the page and says who it is."""
    rules = access(token=TOKEN)
    caller = rules.caller({**AWAY, "HTTP_COOKIE": f"{COOKIE}={rules.cookie(' Zoë ')}"})
    assert (caller.may_see, caller.may_change, caller.name, caller.by_cookie) == (True, True, "Zoë", True)


def test_a_cookie_ends() -> None:
    """After its time a cookie opens nothing, whatever the browser does."""
    cookie = access(token=TOKEN).cookie("ann")
    last, beyond = (access(token=TOKEN, at=SIGNED_IN_SECONDS + each) for each in (0, 1))
    assert last.caller({"HTTP_COOKIE": f"{COOKIE}={cookie}"}).may_see
    assert not beyond.caller({"HTTP_COOKIE": f"{COOKIE}={cookie}"}).may_see


def test_a_cookie_dies_with_its_token() -> None:
    """Changing STATUS_TOKEN signs everybody out, and without a token no cookie counts."""
    cookie = access(token=TOKEN).cookie("ann")
    assert not access(token="another one").caller({"HTTP_COOKIE": f"{COOKIE}={cookie}"}).may_see
    assert not access().caller({"HTTP_COOKIE": f"{COOKIE}={access().cookie('ann')}"}).may_see


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_text_is_a_cookie_by_chance(text: str) -> None:
    """Whatever stands in the cookie opens nothing and raises nothing."""
    assert not access(token=TOKEN).caller({"HTTP_COOKIE": f"{COOKIE}={text}"}).may_see


@given(st.text())
def test_only_the_token_is_the_token(text: str) -> None:
    """No other text is taken for the token, and none raises."""
    assert access(token=TOKEN).is_token(text) is (text == TOKEN)


def test_a_token_may_have_any_letters() -> None:
    """A token beyond ASCII opens the page too, as its bytes come in the header."""
    header = "Bearer schlüssel-Ā".encode().decode("latin-1")
    assert access(token="schlüssel-Ā").caller({"HTTP_AUTHORIZATION": header}).may_see


@given(st.text(max_size=200))
def test_any_name_survives_the_cookie(name: str) -> None:
    """A cookie holds only characters that cookies may hold, and gives back the name that went in."""
    rules = access(token=TOKEN)
    cookie = rules.cookie(name)
    assert all(each.isascii() and (each.isalnum() or each in "._-") for each in cookie)
    assert rules.caller({"HTTP_COOKIE": f"{COOKIE}={cookie}"}).may_see


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, False),
        ({"HTTP_ORIGIN": "http://localhost:8000"}, True),
        ({"HTTP_ORIGIN": "https://localhost:8000", "HTTP_SEC_FETCH_SITE": "same-origin"}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, True),
        ({"HTTP_ORIGIN": "http://localhost:8000", "HTTP_SEC_FETCH_SITE": "same-site"}, False),
        ({"HTTP_ORIGIN": "http://localhost:8000", "HTTP_SEC_FETCH_SITE": "cross-site"}, False),
        ({"HTTP_ORIGIN": "http://localhost:9000"}, False),
        ({"HTTP_ORIGIN": "http://evil.example", "HTTP_SEC_FETCH_SITE": "same-origin"}, False),
        ({"HTTP_ORIGIN": "null"}, False),
        ({"HTTP_ORIGIN": "http://[broken"}, False),
    ],
)
def test_same_origin(headers: dict[str, str], same: bool) -> None:
    """Both headers must speak for a page of ours, and one of them must be there."""
    assert is_same_origin({**LOCAL, **headers}) is same
