"""What every request passes on its way in: an id, the log's context, a stopwatch, and the word that requests come."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter
from typing import Any

from werkzeug.wsgi import ClosingIterator

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
REQUEST_ID = "twelvefactor.request_id"
PROBE_ENDPOINT = "twelvefactor.endpoint"


class _Endpoint:
    """The endpoint of a request, known only once Flask has routed it; read late, when a line is written."""

    __slots__ = ("_environ", "_exchange")

    def __init__(self, environ: Environ, exchange: "_Exchange") -> None:
        self._environ, self._exchange = environ, exchange

    def __str__(self) -> str:
        return _endpoint_of(self._environ) or self._exchange.answered[0]  # the latter in a stream


def _endpoint_of(environ: Environ) -> str:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    endpoint: str = environ.get(PROBE_ENDPOINT, "") if rule is None else rule.endpoint
    return endpoint


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
        try:
            status = int(line[:3])
        except ValueError:
            status = 500  # a line without a number is no success
        self.answered = _endpoint_of(self._environ), status  # when the request is over, Flask takes it out
        for name, _ in headers:
            if name[1:2] == "-" and name.lower() == "x-request-id":  # the application's own word, or one within it
                break
        else:
            headers = [*headers, ("X-Request-ID", self._number)]
        return self._start_response(line, headers, exc_info) if exc_info else self._start_response(line, headers)

    def fail(self) -> None:
        """Note that the application raised, whatever it had begun to answer."""
        self.answered = self.answered[0], 500

    def __getitem__(self, name: str) -> object:
        match name:
            case "request_id":
                return self._number
            case "method":
                return self._environ.get("REQUEST_METHOD", "")
            case "path":
                return _readable(self._path)
            case "endpoint":
                return _Endpoint(self._environ, self)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("request_id", "method", "path", "endpoint"))

    def __len__(self) -> int:
        return 4


class _Rest:
    """What of the application runs after its call has returned: it belongs to the request, and ends it.

    A server may go on in another thread and context, so that each step is bound by itself.
    """

    __slots__ = ("_close", "_exchange", "_instrument", "_next", "_return", "_seconds", "_told")

    def __init__(
        self, instrument: "RequestInstrument", exchange: _Exchange, answer: Iterable[bytes], begin: float
    ) -> None:
        self._instrument, self._exchange, self._told = instrument, exchange, False
        self._next = iter(answer).__next__
        self._close: Callable[[], object] = getattr(answer, "close", _nothing)
        self._return = instrument.streaming()
        self._seconds = perf_counter() - begin

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part: bytes = self._run(self._next, last=False)
        return part

    def close(self) -> None:
        """End the answer; also where the client went away in the middle."""
        try:
            self._run(self._close, last=True)
        finally:
            self._return()

    def _run(self, step: Callable[[], Any], *, last: bool) -> Any:  # noqa: ANN401 - the step's own
        begin, token = perf_counter(), self._instrument.bind(self._exchange)
        try:
            return step()
        except BaseException as error:
            last = True
            if not isinstance(error, StopIteration):
                self._exchange.fail()
            raise
        finally:
            self._seconds += perf_counter() - begin
            if last and not self._told:
                self._told = True
                self._instrument.observe(*self._exchange.answered, self._seconds)
            self._instrument.unbind(token)


def _nothing() -> None:
    """Close an answer that has nothing to close, or return what nobody lent."""


def _is_over(answer: object, environ: Environ) -> bool:
    """Say whether nothing of the application runs any more for an answer: it is all there, or a file for the server.

    A server knows a list by its length, and its own files by their type: neither may be wrapped.
    """
    if type(answer) is ClosingIterator:
        try:
            response = answer._callbacks[-1].__self__  # type: ignore[attr-defined] # nothing public tells
            return type(response.response) is list and not response._on_close
        except (AttributeError, IndexError):
            return False  # not Flask's own, but another's
    return (
        isinstance(answer, list | tuple) or hasattr(answer, "read") or _is_of(answer, environ.get("wsgi.file_wrapper"))
    )


def _is_of(answer: object, wrapper: object) -> bool:
    return isinstance(wrapper, type) and isinstance(answer, wrapper)


class RequestInstrument:
    """WSGI middleware: request id in and out, log context, duration and status to the monitor.

    An answer that is streamed is counted when it ends, with the time that the application took for all of it.

    Args:
        inner: The application behind it.
        bind: Puts fields on every log line from now on, and returns what `unbind` wants.
        unbind: Takes them back. Two calls cost half of what a with block does.
        request_id: Makes a request id from the X-Request-ID header, which may be missing or malformed.
        observe: Told (endpoint, status, seconds) of each answered request.
        streaming: Called before an answer is streamed, outside of any application context; returns what ends it.
    """

    def __init__(
        self,
        inner: Wsgi,
        *,
        bind: Callable[[Mapping[str, object]], Any],
        unbind: Callable[[Any], None],
        request_id: Callable[[str | None], str],
        observe: Callable[[str, int, float], None],
        streaming: Callable[[], Callable[[], object]] = lambda: _nothing,
    ) -> None:
        self._inner, self._request_id, self.observe = inner, request_id, observe
        self.bind, self.unbind, self.streaming = bind, unbind, streaming

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, and tell what it was."""
        begin = perf_counter()
        number = environ.get(REQUEST_ID)  # an application around this one has made one
        if number is None:
            number = environ[REQUEST_ID] = self._request_id(environ.get("HTTP_X_REQUEST_ID"))
        exchange = _Exchange(environ, start_response, number)
        token = self.bind(exchange)
        try:
            answer = self._inner(environ, exchange.respond)
            if not _is_over(answer, environ):
                return _Rest(self, exchange, answer, begin)
            endpoint, status = exchange.answered
            self.observe(endpoint, status, perf_counter() - begin)
            return answer
        except BaseException:
            exchange.fail()
            self.observe(*exchange.answered, perf_counter() - begin)
            raise
        finally:
            self.unbind(token)


class FirstRequest:
    """WSGI middleware that tells the lifecycle of each request; the outermost, so that probes count too."""

    def __init__(self, inner: Wsgi, on_request: Callable[[Environ], None]) -> None:
        self._inner, self._on_request = inner, on_request

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Tell of a request, then pass it on."""
        self._on_request(environ)
        return self._inner(environ, start_response)
