"""Puts the routes on an application: a blueprint, and the probes in front of everything."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request, send_from_directory

from settings.problems import Diagnosis
from settings.status.access import COOKIE, SIGNED_IN_SECONDS, Access, is_same_origin
from settings.status.diagnosis import diagnose, line
from settings.status.kept import within
from settings.status.merge import own_body
from settings.status.metrics import CONTENT_TYPE, Metrics, open_metrics
from settings.status.model import StatusSettings
from settings.status.pages import Pages
from settings.status.probes import BLUEPRINT, Body, Health, ProbesFirst, probe_headers
from settings.status.sources import StatusSources
from settings.status.view import Gatherer

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer a form would say "Origin: null"
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ACTION_SECONDS = 3.0
STATIC = Path(__file__).parent / "static"
ROUTES = ("livez", "readyz", "healthz", "metrics", "status")


@dataclass(frozen=True, slots=True)
class Installed:
    """What the boot connects the pages with.

    Attributes:
        observe: To be told (endpoint, status, seconds) of each answered request; None without the `metrics` extra.
        snapshot_body: Returns what this process writes into its snapshot; called once an interval.
    """

    observe: Callable[[str, int, float], None] | None
    snapshot_body: Callable[[], Mapping[str, object]]


def install_status(app: Flask, settings: StatusSettings, sources: StatusSources) -> Installed:
    """Serve /livez, /readyz, /healthz, /metrics and /status under STATUS_PREFIX.

    The first two are answered in front of the application's `wsgi_app` too, so that none of its hooks, guards
    and error handlers can touch them; all of them are in its url_map.
    """
    access = Access(settings, sources.environment)
    health = Health(sources, access)
    first = {f"{settings.prefix}/livez": health.livez, f"{settings.prefix}/readyz": health.readyz}
    for path in _taken(app, settings.prefix):
        log.warning("STATUS_PREFIX: %s", line(diagnose("status-route-taken", path=path)))
        first.pop(path, None)
    blueprint = Blueprint(BLUEPRINT, __name__, url_prefix=settings.prefix or None)
    for name in ROUTES[:3]:
        blueprint.add_url_rule(f"/{name}", name, _probe_view(getattr(health, name)))
    metrics = open_metrics(sources)
    People(settings.prefix, access, sources, metrics).add_to(blueprint)
    app.register_blueprint(blueprint)
    app.wsgi_app = ProbesFirst(app.wsgi_app, first)  # type: ignore[method-assign] # Flask's documented place for middleware
    return Installed(None if metrics is None else metrics.observe, lambda: _body(sources, metrics))


def _body(sources: StatusSources, metrics: Metrics | None) -> Mapping[str, object]:
    if metrics is not None:
        metrics.carry()
    return own_body(sources)


def _taken(app: Flask, prefix: str) -> set[str]:
    """Return those of our paths that the application has itself already: what it serves stays as it was."""
    return {f"{prefix}/{name}" for name in ROUTES} & {rule.rule for rule in app.url_map.iter_rules()}


def _probe_view(answer: Callable[[dict[str, object]], Body]) -> Callable[[], Response]:
    def view() -> Response:
        status, body = answer(request.environ)
        return Response(body, status, probe_headers(body))

    return view


class People:
    """The routes for people, and /metrics: each looks at the caller before anything else.

    Args:
        prefix: STATUS_PREFIX.
        access: Who may see and change.
        sources: What is shown.
        metrics: Answers a scrape; None without the extra.
    """

    def __init__(self, prefix: str, access: Access, sources: StatusSources, metrics: Metrics | None) -> None:
        self._prefix, self._access, self._sources = prefix, access, sources
        self._metrics = metrics
        self._gatherer, self._pages = Gatherer(sources), Pages()

    def add_to(self, blueprint: Blueprint) -> None:
        """Add the routes."""
        add = blueprint.add_url_rule
        add("/status", "status", self.status)
        add("/metrics", "metrics", self.metrics)
        add("/status/static/<path:filename>", "asset", self.asset)
        add("/status/sign-in", "sign_in", self.sign_in, methods=["POST"])
        add("/status/sign-out", "sign_out", self.sign_out, methods=["POST"])
        add(
            "/status/alerts/<int(max=9223372036854775807):number>/<any(acknowledge, resolve):change>",
            "alert",
            self.alert,
            methods=["POST"],
        )

    def status(self) -> Response:
        """Show the page, or the way to sign in, or nothing at all."""
        caller = self._access.caller(request.environ)
        if not caller.may_see:
            return self._ask_for_token()
        live = "live" in request.args
        return _html(self._pages.status(self._gatherer.gather(), caller, base=self._base(), live=live))

    def metrics(self) -> Response:
        """Answer a scrape of those who may see the page."""
        caller = self._access.caller(request.environ)
        if not caller.may_see:
            return self._ask_for_token()
        if self._metrics is None:
            return _plain(501, diagnose("metrics-extra-missing"))
        try:
            text = self._metrics.page(self._gatherer.gather())
        except OSError as error:
            return _plain(503, diagnose("metrics-unavailable", error=error))
        return Response(text, headers=HEADERS, content_type=CONTENT_TYPE)

    def sign_in(self) -> Response:
        """Give a browser that knows the token a cookie that stands for it."""
        if not self._access.with_token:
            abort(404)
        self._refuse_foreign()
        if not self._access.is_token(request.form.get("token", "").strip()):
            return self._ask_for_token(wrong=True)
        response = _see_other(self._base())
        secure = request.is_secure or request.headers.get("Origin", "").startswith("https://")
        response.set_cookie(
            COOKIE, self._access.cookie(request.form.get("name", "")), max_age=SIGNED_IN_SECONDS, path=self._base(),
            httponly=True, samesite="Strict", secure=secure,
        )  # fmt: skip
        return response

    def sign_out(self) -> Response:
        """Take the cookie back."""
        self._refuse_foreign()
        response = _see_other(self._base())
        response.delete_cookie(COOKIE, path=self._base(), httponly=True, samesite="Strict")
        return response

    def alert(self, number: int, change: str) -> Response:
        """Acknowledge or resolve an alert, for those who may, from a page of ours."""
        caller = self._access.caller(request.environ)
        if not caller.may_change:
            return self._ask_for_token()
        if caller.by_cookie or "Authorization" not in request.headers:
            self._refuse_foreign()
        alerts = self._sources.alerts
        by = caller.name or request.remote_user or "status page"
        work = (lambda: alerts.acknowledge(number, by)) if change == "acknowledge" else (lambda: alerts.resolve(number))
        if not within(ACTION_SECONDS, f"status-{change}", work):
            return self._say(503, "Not changed", diagnose("alert-not-changed", error="the log says why"))
        self._gatherer.forget()
        return _see_other(f"{self._base()}#alerts")

    def _ask_for_token(self, *, wrong: bool = False) -> Response:
        """Tell nothing: where no token is set, not even that there is a page."""
        if not self._access.with_token:
            abort(404)
        response = _html(self._pages.sign_in(base=self._base(), wrong=wrong), 401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _refuse_foreign(self) -> None:
        if not is_same_origin(request.environ):
            abort(self._say(403, "Refused", diagnose("foreign-origin")))

    def _say(self, status: int, title: str, fault: Diagnosis) -> Response:
        text = f"{fault.cause[0].upper()}{fault.cause[1:]}. What to do: {fault.fix}."
        return _html(self._pages.message(base=self._base(), title=title, text=text), status)

    def _base(self) -> str:
        """Return the path of the page as the browser sees it, whatever it is mounted under."""
        return f"{request.script_root}{self._prefix}/status"

    def asset(self, filename: str) -> Response:
        """Serve the style, the script and the icons, which hold nothing of the service."""
        if not self._access.offered:
            abort(404)
        response = send_from_directory(STATIC, filename)
        response.headers.update({**HEADERS, "Cache-Control": "no-cache"})
        return response


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, HEADERS, mimetype="text/html")


def _plain(status: int, fault: Diagnosis) -> Response:
    return Response(f"{line(fault)}\n", status, HEADERS, mimetype="text/plain")


def _see_other(path: str) -> Response:
    return Response(status=303, headers={**HEADERS, "Location": path})
