"""Every request has an id, a context for its log lines, and a measured end."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from settings.boot.requests import REQUEST_ID, Environ, FirstRequest, RequestInstrument, StartResponse

Observed = list[tuple[str, int, float]]


class _World:
    """Collects what the instrument tells the rooms."""

    def __init__(self) -> None:
        self.bound: Mapping[str, object] = {}
        self.observed: Observed = []
        self.active = False

    def bind(self, fields: Mapping[str, object]) -> str:
        """Remember the fields, and that they are bound."""
        self.bound, self.active = fields, True
        return "token"

    def unbind(self, token: str) -> None:
        """Remember that they no longer are."""
        assert token == "token"
        self.active = False

    def instrument(self, inner: Callable[[Environ, StartResponse], Iterable[bytes]]) -> RequestInstrument:
        """Return an instrument around `inner`."""
        return RequestInstrument(
            inner,
            bind=self.bind,
            unbind=self.unbind,
            request_id=lambda header: header or "made",
            observe=lambda *seen: self.observed.append(seen),
        )


def _ask(application: Callable[[Environ, StartResponse], Iterable[bytes]], **environ: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def respond(line: str, headers: list[tuple[str, str]], *_exc: Any) -> None:
        found.update(status=line, headers=dict(headers))

    body = application({"REQUEST_METHOD": "GET", "PATH_INFO": "/orders", **environ}, respond)
    return {**found, "body": b"".join(body)}


def test_the_request_id_goes_in_and_out() -> None:
    """A header's id is kept for the application, the log and the answer."""
    world = _World()

    def inner(environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        assert world.active
        respond("200 OK", [])
        return [environ[REQUEST_ID].encode()]

    answer = _ask(world.instrument(inner), HTTP_X_REQUEST_ID="abc-1")
    assert answer["body"] == b"abc-1"
    assert answer["headers"] == {"X-Request-ID": "abc-1"}
    assert {name: str(value) for name, value in world.bound.items()} == {
        "request_id": "abc-1", "method": "GET", "path": "/orders", "endpoint": "",
    }  # fmt: skip
    assert not world.active


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/gr\u00c3\u00b6\u00c3\u009fe", "/gr\u00f6\u00dfe"), ("/\u00ff", r"/\xff"), ("/\u20ac", "/?")],
)
def test_a_path_of_other_letters_is_readable(path: str, shown: str) -> None:
    """The log has the letters that were asked for, and of bytes that are none, their numbers."""
    world = _World()

    def inner(_environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        respond("200 OK", [])
        return []

    _ask(world.instrument(inner), PATH_INFO=path)
    assert world.bound["path"] == shown


def test_the_path_is_the_one_that_was_asked_for() -> None:
    """A mount shortens the path on the way to the application; the log keeps the whole."""
    world = _World()

    def inner(environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/shop", "/orders"
        respond("200 OK", [])
        return []

    _ask(world.instrument(inner), PATH_INFO="/shop/orders")
    assert world.bound["path"] == "/shop/orders"


def test_an_answer_is_observed_with_its_status_and_duration() -> None:
    """The monitor learns endpoint, status and seconds."""
    world = _World()

    def inner(_environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        respond("503 SERVICE UNAVAILABLE", [])
        return []

    _ask(world.instrument(inner))
    [(endpoint, status, seconds)] = world.observed
    assert (endpoint, status) == ("", 503)
    assert 0 <= seconds < 5


def test_an_application_that_raises_counts_as_500() -> None:
    """The error goes on to the server, and the monitor has seen it."""
    world = _World()

    def inner(_environ: Environ, _respond: StartResponse) -> Iterable[bytes]:
        raise LookupError("inner")

    with pytest.raises(LookupError):
        _ask(world.instrument(inner))
    assert world.observed[0][1] == 500


def test_each_request_is_told_to_the_lifecycle() -> None:
    """The outermost layer sees probes, too."""
    seen: list[str] = []

    def inner(_environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        respond("200 OK", [])
        return []

    _ask(FirstRequest(inner, lambda environ: seen.append(environ["PATH_INFO"])))
    assert seen == ["/orders"]
