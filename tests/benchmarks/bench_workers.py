"""What an application context for a job costs (P10), and what watching every request costs (P11)."""

import contextlib
import io
import os
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.test import EnvironBuilder

from settings.boot.requests import RequestInstrument, Wsgi
from settings.logs.context import bind, request_id_from, unbind
from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs
from settings.workers.context import ApplicationContextManager
from settings.workers.performance import PerformanceMonitor
from tests.benchmarks.harness import Bar, Sampler, per_call
from tests.running import gunicorn, serving

CALLS = 20_000
REQUESTS = 250
WAITING = 10
"""Requests that a gunicorn worker finds waiting: few, so that the two samples of a pair are milliseconds apart."""


def _nothing() -> None:
    """Do nothing, so that only what is around it counts."""


BROWSER = b"".join(
    b"%b\r\n" % header
    for header in (
        b"Host: shop.example.com",
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        b"Accept-Language: en-US,en;q=0.5",
        b"Accept-Encoding: gzip, deflate, br, zstd",
        b"Referer: https://shop.example.com/orders",
        b"Cookie: session=eyJjYXJ0IjpbMSwyLDNdfQ.aSbH1A.mJ8yq0c1Xb3m9yqk1W4oXv2n5sU",
        b"Sec-Fetch-Dest: document",
        b"Sec-Fetch-Mode: navigate",
        b"Sec-Fetch-Site: same-origin",
        b"X-Forwarded-For: 203.0.113.7",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: shop.example.com",
    )
)
"""What a browser sends through a proxy."""


@contextlib.contextmanager
def _fresh_context() -> Iterator[tuple[Sampler, Sampler]]:
    app = Flask("bench")
    wrapped = ApplicationContextManager(app).ensure_context(_nothing)

    def by_hand() -> None:
        with app.app_context():
            _nothing()

    yield per_call(wrapped, number=CALLS), per_call(by_hand, number=CALLS)


@contextlib.contextmanager
def _context_there() -> Iterator[tuple[Sampler, Sampler]]:
    app = Flask("bench")
    wrapped = ApplicationContextManager(app).ensure_context(_nothing)

    def by_hand() -> None:
        with app.app_context():
            _nothing()

    bare, hand = per_call(wrapped, number=CALLS), per_call(by_hand, number=CALLS)

    def ours() -> float:
        with app.app_context():
            return bare()

    yield ours, hand


def _app() -> Flask:
    app = Flask("bench")
    app.add_url_rule("/", "home", lambda: "hello")
    return app


def all_apps() -> Wsgi:
    """Return one application for gunicorn: an instrumented one behind `/?ours`, others behind `/?bare` and `/?hooks`.

    Two workers of one and the same application differ by more than the bar, by where their memory happens to be.
    """
    apps = {"ours": _instrument(_app())[0].wsgi_app, "bare": _app().wsgi_app, "hooks": _with_hooks(ids=False).wsgi_app}
    return lambda environ, respond: apps[environ["QUERY_STRING"]](environ, respond)


def _instrument(app: Flask) -> tuple[Flask, Logs]:
    logs = configure_logs(LogsSettings(), app_name="bench", environment="production", stream=io.StringIO())
    monitor = PerformanceMonitor(latency_threshold_ms=1000, error_rate_threshold=0.05)
    app.wsgi_app = RequestInstrument(  # type: ignore[method-assign] # Flask's own way to add middleware
        app.wsgi_app, bind=bind, unbind=unbind, request_id=request_id_from, observe=monitor.observe
    )
    return app, logs


@contextlib.contextmanager
def _instrumented() -> Iterator[tuple[Flask, Flask]]:
    """Yield an instrumented application and a bare one."""
    ours, logs = _instrument(_app())
    try:
        yield ours, _app()
    finally:
        logs.close()


def _with_hooks(*, ids: bool) -> Flask:
    """Return the application with what a service has that times its requests, and gives them ids, in Flask's hooks."""
    app, seconds = _app(), dict[tuple[str | None, int], float]()

    @app.before_request
    def begin() -> None:
        g.begin = time.perf_counter()
        if ids:
            g.number = request.headers.get("X-Request-ID") or uuid.uuid4().hex

    @app.after_request
    def end(response: Response) -> Response:
        key = request.endpoint, response.status_code
        seconds[key] = seconds.get(key, 0) + time.perf_counter() - g.begin
        if ids:
            response.headers["X-Request-ID"] = g.number
        return response

    return app


def _requests_to(app: Flask) -> Sampler:
    environ = EnvironBuilder("/").get_environ()
    inner: Any = app.wsgi_app

    def ask() -> None:
        for _ in inner(dict(environ), _start_response):
            pass

    return per_call(ask, number=REQUESTS)


@contextlib.contextmanager
def _wsgi() -> Iterator[tuple[Sampler, Sampler]]:
    with _instrumented() as (ours, bare):
        yield _requests_to(ours), _requests_to(bare)


@contextlib.contextmanager
def _hooks() -> Iterator[tuple[Sampler, Sampler]]:
    with _instrumented() as (ours, _):
        yield _requests_to(ours), _requests_to(_with_hooks(ids=True))


def _start_response(*_args: object) -> None:
    """Take the status and the headers."""


@contextlib.contextmanager
def _test_client() -> Iterator[tuple[Sampler, Sampler]]:
    with _instrumented() as (ours, bare):
        mine, other = ours.test_client(), bare.test_client()
        yield (
            per_call(lambda: mine.get("/"), number=REQUESTS),
            per_call(lambda: other.get("/"), number=REQUESTS),
        )


def _gunicorn_beside(other: bytes) -> Callable[[], AbstractContextManager[tuple[Sampler, Sampler]]]:
    @contextlib.contextmanager
    def opened() -> Iterator[tuple[Sampler, Sampler]]:
        command = gunicorn("tests.benchmarks.bench_workers:all_apps()", workers=1)
        with tempfile.TemporaryDirectory() as folder, serving(command, Path(folder)) as server:
            (worker,) = server.children()
            yield (
                lambda: _cpu_seconds(worker, server.port, b"/?ours"),
                lambda: _cpu_seconds(worker, server.port, b"/?" + other),
            )

    return opened


def _cpu_seconds(pid: int, port: int, target: bytes) -> float:
    """Return the CPU time that a worker takes for one of many requests, which all wait when it begins."""
    spent = Path(f"/proc/{pid}/schedstat")  # nanoseconds; /proc/…/stat counts in hundredths of a second
    begin = int(spent.read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)  # while a client runs beside it, the worker's cost swings by more than the bar
    waiting = [_ask(port, target) for _ in range(WAITING)]
    os.kill(pid, signal.SIGCONT)
    for connection in reversed(waiting):  # the last one is answered last, and this process sleeps till then
        with connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return (int(spent.read_text().split()[0]) - begin) / 1e9 / WAITING


def _ask(port: int, target: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, BROWSER))
    connection.shutdown(socket.SHUT_WR)  # a worker waits for its client's end before it takes the next
    return connection


WORKER = "CPU of a gunicorn worker"
BARS = [
    Bar("P10.new", "a wrapped function", "with app.app_context()", 1.25, _fresh_context, samples=15),
    Bar("P10.kept", "a wrapped function, context there", "with app.app_context()", 0.15, _context_there, samples=15),
    Bar("P11.hooks", "an instrumented request", "hooks that time it and give it an id", 1.00, _hooks, samples=99),
    Bar("P11.wsgi", "an instrumented request", "bare wsgi_app", 1.15, _wsgi, samples=99),
    Bar("P11.client", "an instrumented request", "Flask's test client", 1.06, _test_client, samples=99),
    Bar("P11.gunicorn", f"{WORKER}, instrumented", "a bare one", 1.03, _gunicorn_beside(b"bare"), samples=1500),
    Bar("P11.peer", f"{WORKER}, with ids", "hooks that time it only", 1.02, _gunicorn_beside(b"hooks"), samples=1500),
]
