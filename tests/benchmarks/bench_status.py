"""P14: the probes beside a Flask route that returns a constant."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask

from settings.probe import HealthStatus, Reading
from settings.status.model import StatusSettings
from settings.status.routes import install_status
from settings.status.sources import StatusSources
from settings.workers.health import ServiceHealth, ServiceHealthManager
from tests.benchmarks.harness import Bar, Sampler, per_call

CALLS = 2000
SERVICES = ("database", "migrations", "cache", "websocket", "workers")


def _healthy() -> Reading:
    return Reading(HealthStatus.HEALTHY, "answers")


def _application(services: Callable[[], Mapping[str, ServiceHealth]]) -> Flask:
    app = Flask("benchmark")
    app.add_url_rule("/constant", "constant", lambda: "ok")
    install_status(app, StatusSettings(), StatusSources("benchmark", "production", services))
    return app


def _request(app: Flask, path: str) -> Callable[[], object]:
    base: dict[str, Any] = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip

    def start(_status: str, _headers: list[tuple[str, str]], *_exc_info: object) -> Callable[[bytes], object]:
        return len

    return lambda: b"".join(app.wsgi_app({**base}, start))


def _against_constant(path: str) -> Callable[[], Any]:
    @contextmanager
    def pair() -> Iterator[tuple[Sampler, Sampler]]:
        health = ServiceHealthManager()
        for name in SERVICES:
            health.register(name, _healthy, critical=name in SERVICES[:2])
        health.check()
        app = _application(health.check)
        yield per_call(_request(app, path), number=CALLS), per_call(_request(app, "/constant"), number=CALLS)
        health.close()

    return pair


BARS = [
    Bar("P14.livez", "GET /livez", "a Flask route that returns a constant", 1.10, _against_constant("/livez")),
    Bar("P14.readyz", "GET /readyz", "a Flask route that returns a constant", 1.10, _against_constant("/readyz")),
]
