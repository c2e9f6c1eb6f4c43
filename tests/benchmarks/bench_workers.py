"""What an application context for a job costs (P10), and what watching every request costs (P11)."""

import contextlib
import io
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from settings.boot.requests import RequestInstrument
from settings.logs.context import bind, request_id_from, unbind
from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs
from settings.workers.context import ApplicationContextManager
from settings.workers.performance import PerformanceMonitor
from tests.benchmarks.harness import Bar, Sampler, per_call
from tests.running import gunicorn, serving

CALLS = 20_000
REQUESTS = 2_000
CLIENTS = 4


def _nothing() -> None:
    """Do nothing, so that only what is around it counts."""


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


def bare_app() -> Flask:
    """Return an application with one route, for gunicorn."""
    return _app()


def instrumented_app() -> Flask:
    """Return the same application, instrumented; its log is open until the process ends."""
    return _instrument(_app())[0]


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


@contextlib.contextmanager
def _wsgi() -> Iterator[tuple[Sampler, Sampler]]:
    environ = EnvironBuilder("/").get_environ()

    def call(app: Flask) -> Callable[[], object]:
        inner: Any = app.wsgi_app

        def request() -> None:
            for _ in inner(dict(environ), _start_response):
                pass

        return request

    with _instrumented() as (ours, bare):
        yield per_call(call(ours), number=REQUESTS), per_call(call(bare), number=REQUESTS)


def _start_response(*_args: object) -> None:
    """Take the status and the headers."""


@contextlib.contextmanager
def _test_client() -> Iterator[tuple[Sampler, Sampler]]:
    with _instrumented() as (ours, bare):
        mine, other = ours.test_client(), bare.test_client()
        yield (
            per_call(lambda: mine.get("/"), number=REQUESTS // 4),
            per_call(lambda: other.get("/"), number=REQUESTS // 4),
        )


@contextlib.contextmanager
def _gunicorn() -> Iterator[tuple[Sampler, Sampler]]:
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:

        def cpu_of(factory: str) -> Sampler:
            command = gunicorn(f"tests.benchmarks.bench_workers:{factory}()", workers=1)
            server = stack.enter_context(serving(command, Path(folder)))
            (worker,) = server.children()
            return lambda: _cpu_seconds(worker, server.port)

        yield cpu_of("instrumented_app"), cpu_of("bare_app")


def _cpu_seconds(pid: int, port: int) -> float:
    """Return the CPU time that a worker takes for one of many requests, of which the next always waits already."""
    spent = Path(f"/proc/{pid}/schedstat")  # nanoseconds; /proc/…/stat counts in hundredths of a second
    begin = int(spent.read_text().split()[0])
    with ThreadPoolExecutor(CLIENTS) as clients:
        for served in clients.map(lambda _: _ask(port), range(REQUESTS)):
            assert served.startswith(b"HTTP/1.1 200")
    return (int(spent.read_text().split()[0]) - begin) / 1e9 / REQUESTS


def _ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(4096), b""))


BARS = [
    Bar("P10.new", "a wrapped function", "with app.app_context()", 1.25, _fresh_context, samples=15),
    Bar("P10.kept", "a wrapped function, context there", "with app.app_context()", 0.15, _context_there, samples=15),
    Bar("P11.wsgi", "an instrumented request", "bare wsgi_app", 1.15, _wsgi, samples=15),
    Bar("P11.client", "an instrumented request", "Flask's test client", 1.06, _test_client, samples=15),
    Bar("P11.gunicorn", "CPU of a gunicorn worker, instrumented", "a bare one", 1.03, _gunicorn, samples=15),
]
