"""Every request has an id, a context for its log lines, and a measured end."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from flask import Flask, Response, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wsgi import ClosingIterator

from settings.boot.requests import REQUEST_ID, Environ, FirstRequest, RequestInstrument, StartResponse, Wsgi

Observed = list[tuple[str, int, float]]
ENVIRON = EnvironBuilder("/orders").get_environ()


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

    def instrument(self, inner: Wsgi, number: str = "made") -> RequestInstrument:
        """Return an instrument around `inner`."""
        return RequestInstrument(
            inner,
            bind=self.bind,
            unbind=self.unbind,
            request_id=lambda header: header or number,
            observe=lambda *seen: self.observed.append(seen),
        )


def _ask(application: Wsgi, **environ: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def respond(line: str, headers: list[tuple[str, str]], *_exc: Any) -> None:
        found.update(status=line, headers=dict(headers))

    body = b"".join(application({"REQUEST_METHOD": "GET", "PATH_INFO": "/orders", **environ}, respond))
    return {**found, "body": body}


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


def test_an_application_that_raises_once_it_has_begun_counts_as_500() -> None:
    """The client gets no answer of the application: what it had begun to say is not what is counted."""
    world, app = _World(), Flask(__name__)
    app.add_url_rule("/orders", "orders", lambda: "ok")

    @app.teardown_request
    def fail(_error: BaseException | None) -> None:
        raise LookupError("teardown")

    with pytest.raises(LookupError):
        _ask(world.instrument(app.wsgi_app), **ENVIRON)
    assert [seen[:2] for seen in world.observed] == [("orders", 500)]


def _lazy(inner: Wsgi) -> Wsgi:
    """Return a middleware that is a generator, and so answers when it is asked for the first part (PEP 3333)."""

    def call(environ: Environ, respond: StartResponse) -> Iterator[bytes]:
        yield from inner(environ, respond)

    return call


def test_a_middleware_may_be_a_generator() -> None:
    """Endpoint and status are those of the answer, though it begins after the call has returned."""
    world, app = _World(), Flask(__name__)
    app.add_url_rule("/orders", "orders", lambda: "ok" if world.active else "not bound")
    answer = _ask(world.instrument(_lazy(app.wsgi_app)), **ENVIRON)
    assert answer["body"] == b"ok"
    assert answer["headers"]["X-Request-ID"] == "made"
    assert [seen[:2] for seen in world.observed] == [("orders", 200)]
    assert not world.active


def _streaming(world: _World, parts: Iterable[object]) -> Flask:
    app = Flask(__name__)

    def stream() -> Iterator[bytes]:
        for each in parts:
            assert world.active
            assert str(world.bound["endpoint"]) == "orders"
            if isinstance(each, Exception):
                raise each
            yield str(each).encode()

    app.add_url_rule("/orders", "orders", lambda: Response(stream()))
    return app


@pytest.mark.parametrize(("last", "status"), [("3", 200), (LookupError("in the stream"), 500)])
def test_a_stream_is_counted_when_it_ends(last: object, status: int) -> None:
    """Its parts are the request's own: log context, an exception, and the end."""
    world = _World()
    answer, line, _headers = run_wsgi_app(world.instrument(_streaming(world, ["1", "2", last]).wsgi_app), ENVIRON)
    body = iter(answer)
    assert (line, next(body), next(body)) == ("200 OK", b"1", b"2")
    assert (world.observed, world.active) == ([], False)
    if status == 200:
        assert list(body) == [b"3"]
    else:
        with pytest.raises(LookupError):
            next(body)
    answer.close()  # type: ignore[attr-defined] # werkzeug says no more of it than WSGI does
    assert [seen[:2] for seen in world.observed] == [("orders", status)]
    assert not world.active


def test_the_duration_of_a_stream_is_the_time_of_all_its_parts() -> None:
    """Also of those that come late, but not the time that a slow client takes to fetch them."""
    world, begun = _World(), time.perf_counter()
    for _ in world.instrument(_streaming(world, _slow()).wsgi_app)(dict(ENVIRON), lambda *_: None):
        time.sleep(0.05)
    [(_, _, seconds)] = world.observed
    assert 0.02 <= seconds <= time.perf_counter() - begun - 0.1


def _slow() -> Iterator[str]:
    for each in "12":
        time.sleep(0.01)
        yield each


def test_a_client_that_goes_away_ends_a_stream_once() -> None:
    """The server closes it in the middle, which is no failure of the application."""
    world = _World()
    answer = world.instrument(_streaming(world, ["1", "2"]).wsgi_app)(dict(ENVIRON), lambda *_: None)
    assert next(iter(answer)) == b"1"
    answer.close()  # type: ignore[attr-defined] # as above
    answer.close()  # type: ignore[attr-defined] # as above
    assert [seen[:2] for seen in world.observed] == [("orders", 200)]


def test_what_runs_at_the_end_of_an_answer_is_the_request_s_own() -> None:
    """`call_on_close` has the log context, and what it raises is counted."""
    world, app, seen = _World(), Flask(__name__), list[bool]()

    @app.get("/orders")
    def orders() -> Response:
        response = Response("ok")
        response.call_on_close(lambda: seen.append(world.active))
        return response

    _, close = _answered(world.instrument(app.wsgi_app))
    close()
    assert seen == [True]
    assert [each[:2] for each in world.observed] == [("orders", 200)]


def _answered(application: Wsgi) -> tuple[Iterable[bytes], Callable[[], None]]:
    answer = application(dict(ENVIRON), lambda *_: None)
    return answer, answer.close  # type: ignore[attr-defined] # as above


def test_an_answer_that_is_all_there_passes_as_it_is() -> None:
    """It is counted at once: nothing of the application runs any more, and servers know a list and a file by type."""
    world, app = _World(), Flask(__name__)
    app.add_url_rule("/orders", "orders", lambda: "ok")
    answer, _ = _answered(world.instrument(app.wsgi_app))
    assert type(answer) is ClosingIterator
    file = FileWrapper(BytesIO(b"ok"))
    for each in ([b"ok"], (b"ok",), file, BytesIO(b"ok")):
        assert _given(world, each, {"wsgi.file_wrapper": FileWrapper}) is each
        assert _given(world, BytesIO(b"ok"), {"wsgi.file_wrapper": open}) is not None
    assert [status for _, status, _ in world.observed] == [200] * 9


def _given(world: _World, answer: Iterable[bytes], environ: Environ) -> Iterable[bytes]:
    def inner(_environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        respond("200 OK", [])
        return answer

    return world.instrument(inner)(environ, lambda *_: None)


def test_an_id_that_the_application_sets_is_the_only_one() -> None:
    """Two headers would be joined to one that is neither."""
    world, app = _World(), Flask(__name__)
    app.add_url_rule("/orders", "orders", lambda: ("ok", {"x-request-id": "its own"}))
    app.wsgi_app = world.instrument(app.wsgi_app)  # type: ignore[method-assign] # Flask's own way to add middleware
    assert app.test_client().get("/orders").headers.getlist("X-Request-ID") == ["its own"]


def test_an_application_within_another_has_its_request_id() -> None:
    """One request has one id, in the environ and in one header, however many applications it passes."""
    outer, inner, app = _World(), _World(), Flask(__name__)
    app.add_url_rule("/orders", "orders", lambda: request.environ[REQUEST_ID])
    within = inner.instrument(app.wsgi_app, number="another")
    mounted = outer.instrument(DispatcherMiddleware(app, {"/shop": within}))
    answer = Client(mounted).get("/shop/orders")
    assert answer.text == "made"
    assert answer.headers.getlist("X-Request-ID") == ["made"]
    assert inner.bound["request_id"] == "made"


def test_a_status_without_a_number_is_answered_and_no_success() -> None:
    """Flask makes a line of it, which is for the server to judge."""
    world, app = _World(), Flask(__name__)
    app.add_url_rule("/orders", "orders", lambda: Response("x", "I am fine"))
    answer = _ask(world.instrument(app.wsgi_app), **ENVIRON)
    assert answer["status"] == "0 I am fine"
    assert [seen[:2] for seen in world.observed] == [("orders", 500)]


def test_each_request_is_told_to_the_lifecycle() -> None:
    """The outermost layer sees probes, too."""
    seen: list[str] = []

    def inner(_environ: Environ, respond: StartResponse) -> Iterable[bytes]:
        respond("200 OK", [])
        return []

    _ask(FirstRequest(inner, lambda environ: seen.append(environ["PATH_INFO"])))
    assert seen == ["/orders"]
