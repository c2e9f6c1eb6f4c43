"""What every request passes on its way in: an id, the log's context, a stopwatch, and the word that requests come."""

import time
from collections.abc import Callable, Iterable, Mapping
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
        answered = "", 500

        def respond(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401 - the server's write function
            nonlocal answered
            answered = _endpoint_of(environ), int(line[:3])  # when the request is over, Flask takes it out
            headers = [*headers, ("X-Request-ID", number)]
            return start_response(line, headers, exc_info) if exc_info else start_response(line, headers)

        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "")
        path = path if path.isascii() else _readable(path)
        fields = {"request_id": number, "method": method, "path": path, "endpoint": _Endpoint(environ)}
        token = self._bind(fields)
        try:
            return self._inner(environ, respond)
        finally:
            self._observe(*answered, time.perf_counter() - begin)
            self._unbind(token)


class FirstRequest:
    """WSGI middleware that tells the lifecycle of each request; the outermost, so that probes count too."""

    def __init__(self, inner: Wsgi, on_request: Callable[[Environ], None]) -> None:
        self._inner, self._on_request = inner, on_request

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Tell of a request, then pass it on."""
        self._on_request(environ)
        return self._inner(environ, start_response)
