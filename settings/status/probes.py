"""/livez, /readyz and /healthz: from what was found out within a second, the first two before anything else."""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from settings.forks import watch_forks
from settings.problems import Diagnosis
from settings.status.access import Access
from settings.status.diagnosis import diagnose, line
from settings.status.rows import Service, read
from settings.status.sources import StatusSources
from settings.status.verdict import HEALTH_JSON, Verdict, verdict_of, worst

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
log = logging.getLogger(__name__)

LINES = {200: "200 OK", 405: "405 Method Not Allowed", 503: "503 Service Unavailable"}
BLUEPRINT = "twelvefactor"
ENDPOINT = "twelvefactor.endpoint"
"""Where a probe, which Flask never sees, leaves the name of its endpoint for whoever counts requests."""
LIVE = (200, b'{"status": "pass"}\n')
Body = tuple[int, bytes]


class Health:
    """Makes the answers of the three routes.

    Args:
        sources: Where services come from.
        access: Who may see details.
    """

    def __init__(self, sources: StatusSources, access: Access) -> None:
        self._sources, self._access = sources, access

    def livez(self, environ: Environ) -> Body:
        """Return 200: a process that answers lives; no service is looked at."""
        del environ
        return LIVE

    def readyz(self, environ: Environ) -> Body:
        """Return 200 when every critical service can be used, 503 when one cannot or this process ends."""
        return self._answer(environ, lambda service: bool(service.critical), rows=False)

    def healthz(self, environ: Environ) -> Body:
        """Return the health of everything; a row a service for those who may see it."""
        return self._answer(environ, lambda _: True, rows=True)

    def _answer(self, environ: Environ, counts: Callable[[Any], bool], *, rows: bool) -> Body:
        if self._sources.shutting_down():
            return _body("fail", {"output": _words(diagnose("shutting-down"))})
        try:
            services = {name: each for name, each in self._sources.services().items() if counts(each)}
        except Exception as error:
            fault = diagnose("health-unavailable", error=type(error).__name__)
            log.exception("%s", line(fault))
            return _body("fail", {"output": _words(fault)})
        verdict = worst(map(verdict_of, services.values()))
        return _body(verdict, self._details(environ, services, rows=rows))

    def _details(self, environ: Environ, services: Mapping[str, Any], *, rows: bool) -> dict[str, Any]:
        """Return what this caller may know: everything, or of readiness the names and codes that decide it."""
        verbose = "verbose" in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        bad = {name: each for name, each in services.items() if verdict_of(each) != "pass"}
        may_see = (rows or verbose) and self._access.caller(environ).may_see
        details: dict[str, Any] = {}
        if bad and (may_see or not rows):
            details["output"] = ", ".join(f"{name}: {each.code or each.status.value}" for name, each in bad.items())
        if may_see:
            details["checks"] = {name: [_full_row(read(Service, each))] for name, each in services.items()}
        elif verbose and not rows:
            details["checks"] = {name: [{"status": verdict_of(each)}] for name, each in services.items()}
        return details


def _words(fault: Diagnosis) -> str:
    return f"{fault.code}: {fault.cause}"


def _full_row(service: Service) -> dict[str, Any]:
    row: dict[str, Any] = {"status": verdict_of(service), "state": service.status}
    if service.latency_ms is not None:
        row |= {"observedValue": round(service.latency_ms, 2), "observedUnit": "ms"}
    if service.checked_at is not None:
        row["time"] = _iso(service.checked_at)
    row |= {"since": _iso(service.since)} if service.since is not None else {}
    texts = {"detail": service.detail, "code": service.code, "output": service.cause, "fix": service.fix}
    return row | {name: text for name, text in texts.items() if text}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _body(verdict: Verdict, details: dict[str, Any]) -> Body:
    text = json.dumps({"status": verdict, **details}, ensure_ascii=False)
    return (503 if verdict == "fail" else 200), text.encode(errors="replace") + b"\n"


class ProbesFirst:
    """WSGI middleware that answers /livez and /readyz itself and passes everything else on.

    Args:
        inner: The application.
        routes: Answers by path.
        settle: Called before the first request: from then on an application adds no more routes.
    """

    def __init__(
        self, inner: Wsgi, routes: Mapping[str, Callable[[Environ], Body]], settle: Callable[[], object]
    ) -> None:
        self._inner, self._routes = inner, routes
        self._settle, self._settled, self._lock = settle, False, threading.Lock()
        watch_forks(self)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a probe, or pass the request on."""
        if not self._settled:
            self._settle_once()
        path = environ.get("PATH_INFO", "")
        route = self._routes.get(path)
        if route is None:
            return self._inner(environ, start_response)
        environ[ENDPOINT] = f"{BLUEPRINT}.{path.rpartition('/')[2]}"
        method = environ.get("REQUEST_METHOD")
        if method not in ("GET", "HEAD"):
            start_response(LINES[405], [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return []
        status, body = route(environ)
        start_response(LINES[status], probe_headers(body))
        return [] if method == "HEAD" else [body]

    def before_fork(self) -> None:
        """Take nothing: a child settles again what a thread of its parent was about to."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Make the lock anew."""
        self._lock = threading.Lock()

    def _settle_once(self) -> None:
        with self._lock:
            if not self._settled:
                self._settle()
                self._settled = True


def probe_headers(body: bytes) -> list[tuple[str, str]]:
    """Return the headers of a probe's answer, which no cache may keep."""
    length = str(len(body))
    return [("Content-Type", HEALTH_JSON), ("Content-Length", length), ("Cache-Control", "no-store")]
