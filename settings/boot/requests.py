"""What every request passes on its way in: an id, the log's context, a stopwatch, and the word that requests come."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
REQUEST_ID = "twelvefactor.request_id"
PROBE_ENDPOINT = "twelvefactor.endpoint"


class _Endpoint:
    """The endpoint of a request, known only once Flask has routed it; read late, when a line is written."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def __str__(self) -> str:
        return _endpoint_of(self._environ)


def _endpoint_of(environ: Environ) -> str:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return str(environ.get(PROBE_ENDPOINT, "")) if rule is None else str(rule.endpoint)


def _readable(path: str) -> str:
    """Return a path as the browser shows it: WSGI gives each byte of it as a letter (PEP 3333)."""
    return path.encode("latin-1", "replace").decode("utf-8", "backslashreplace")


class _Exchange(Mapping[str, object]):
    """A request and how it was answered; as a mapping, what each log line of the request carries.

    One object for both, and its fields made only when a line is written: each object costs every request.
    """

    __slots__ = ("_environ", "_number", "_path", "_start_response", "answered")

    def __init__(self, environ: Environ, start_response: StartResponse, number: str) -> None:
        self._environ, self._start_response, self._number = environ, start_response, number
        self._path = environ.get("PATH_INFO", "")  # a mount shortens it on the way
        self.answered = "", 500

    def respond(self, line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401 - the server's write function
        """Begin the answer as WSGI's start_response does, with the request's id among its headers."""
        self.answered = _endpoint_of(self._environ), int(line[:3])  # when the request is over, Flask takes it out
        headers = [*headers, ("X-Request-ID", self._number)]
        return self._start_response(line, headers, exc_info) if exc_info else self._start_response(line, headers)

    def __getitem__(self, name: str) -> object:
        match name:
            case "request_id":
                return self._number
            case "method":
                return self._environ.get("REQUEST_METHOD", "")
            case "path":
                return _readable(self._path)
            case "endpoint":
                return _Endpoint(self._environ)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("request_id", "method", "path", "endpoint"))

    def __len__(self) -> int:
        return 4


class RequestInstrument:
    """WSGI middleware: request id in and out, log context, duration and status to the monitor.

    Args:
        inner: The application behind it.
        bind: Puts fields on every log line from now on, and returns what `unbind` wants.
        unbind: Takes them back. Two calls cost half of what a with block does.
        request_id: Makes a request id from the X-Request-ID header, which may be missing or malformed.
        observe: Told (endpoint, status, seconds) of each answered request.
    """

    def __init__(
        self,
        inner: Wsgi,
        *,
        bind: Callable[[Mapping[str, object]], Any],
        unbind: Callable[[Any], None],
        request_id: Callable[[str | None], str],
        observe: Callable[[str, int, float], None],
    ) -> None:
        self._inner, self._request_id, self._observe = inner, request_id, observe
        self._bind, self._unbind = bind, unbind

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, and tell what it was."""
        begin = time.perf_counter()
        number = environ[REQUEST_ID] = self._request_id(environ.get("HTTP_X_REQUEST_ID"))
        exchange = _Exchange(environ, start_response, number)
        token = self._bind(exchange)
        try:
            return self._inner(environ, exchange.respond)
        finally:
            self._observe(*exchange.answered, time.perf_counter() - begin)
            self._unbind(token)


class FirstRequest:
    """WSGI middleware that tells the lifecycle of each request; the outermost, so that probes count too."""

    def __init__(self, inner: Wsgi, on_request: Callable[[Environ], None]) -> None:
        self._inner, self._on_request = inner, on_request

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Tell of a request, then pass it on."""
        self._on_request(environ)
        return self._inner(environ, start_response)
