"""Puts the routes on an application: a blueprint, and the probes in front of everything."""

from flask import Blueprint, Flask, Response, abort, request

from settings.status.access import Access
from settings.status.model import StatusSettings
from settings.status.probes import Body, Health, ProbesFirst, probe_headers
from settings.status.sources import StatusSources
from settings.status.view import Views

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def install_status(app: Flask, settings: StatusSettings, sources: StatusSources) -> None:
    """Serve /livez, /readyz, /healthz and /status under STATUS_PREFIX.

    The first two are answered in front of the application's `wsgi_app` too, so that none of its hooks, guards
    and error handlers can touch them; all of them are in its url_map.
    """
    access = Access(settings, sources.environment)
    health = Health(sources, access)
    app.register_blueprint(status_blueprint(settings.prefix, access, health, Views(sources)))
    first = {f"{settings.prefix}/livez": health.livez, f"{settings.prefix}/readyz": health.readyz}
    app.wsgi_app = ProbesFirst(app.wsgi_app, first)  # type: ignore[method-assign] # Flask's documented place for middleware


def status_blueprint(prefix: str, access: Access, health: Health, views: Views) -> Blueprint:
    """Return the blueprint; its endpoints are `twelvefactor.livez`, `twelvefactor.status` and so on."""
    blueprint = Blueprint(
        "twelvefactor", __name__, url_prefix=prefix or None, static_folder="static", static_url_path="/status/static"
    )
    for name in ("livez", "readyz", "healthz"):
        answer = getattr(health, name)
        blueprint.add_url_rule(f"/{name}", name, lambda answer=answer: _probe(answer(request.environ)))

    @blueprint.get("/status")
    def status() -> Response:
        if not access.caller(request.environ).may_see:
            abort(404)
        return Response(views.page(), mimetype="text/html", headers=HEADERS)

    return blueprint


def _probe(answer: Body) -> Response:
    status, body = answer
    return Response(body, status, probe_headers(body))
