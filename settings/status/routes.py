"""Puts the routes on an application: a blueprint, and the probes in front of everything."""

import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, has_request_context, request
from werkzeug.routing import Rule

from settings.status.access import Access
from settings.status.diagnosis import diagnose, line
from settings.status.merge import own_body
from settings.status.metrics import Metrics, open_metrics
from settings.status.model import StatusSettings
from settings.status.people import People
from settings.status.probes import BLUEPRINT, Body, Health, ProbesFirst, probe_headers
from settings.status.sources import StatusSources

log = logging.getLogger(__name__)

PROBES, FOR_PEOPLE = ("livez", "readyz", "healthz"), ("metrics", "status")
ANY_HOST = "twelvefactor_host"
"""Where routes are told apart by host, ours answer to each, under this name in the rule."""
ELSEWHERE = f"<any('<invalid>'):{ANY_HOST}>"
"""What werkzeug takes for the subdomain where the host is not within SERVER_NAME, such as an address."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What the boot connects the pages with.

    Attributes:
        observe: To be told (endpoint, status, seconds) of each answered request; None without the `metrics` extra.
        snapshot_body: Returns what this process writes into its snapshot; called once an interval.
        close: Ends the counting of requests; the routes stay.
    """

    observe: Callable[[str, int, float], None] | None
    snapshot_body: Callable[[], Mapping[str, object]]
    close: Callable[[], None]


def install_status(app: Flask, settings: StatusSettings, sources: StatusSources) -> Installed:
    """Serve /livez, /readyz, /healthz, /metrics and /status under STATUS_PREFIX.

    The first two are answered in front of the application's `wsgi_app` too, so that none of its hooks, guards
    and error handlers can touch them; all of them are in its url_map. Where it has such a route itself, added
    before or after, that one is answered. Where nobody may see them, /metrics and /status are not there.
    """
    access = Access(settings, sources.environment)
    health, metrics = Health(sources, access), open_metrics(sources)
    blueprint, host = _blueprint(app, settings.prefix)
    for name in PROBES:
        blueprint.add_url_rule(f"/{name}", name, _probe_view(getattr(health, name)), host=host)
    People(settings.prefix, access, sources, metrics).add_to(blueprint, host=host)
    app.register_blueprint(blueprint)
    if app.subdomain_matching and host is None:
        _answer_elsewhere(app)
    if not access.offered:
        _retire(rule for rule in _rules(app) if _name(rule) not in PROBES)
    first = {f"{settings.prefix}/{name}": getattr(health, name) for name in PROBES[:2]}
    settle = partial(_give_way, app, first)
    settle()
    app.wsgi_app = ProbesFirst(app.wsgi_app, first, settle)  # type: ignore[method-assign] # Flask's documented place for middleware
    if metrics is None:
        return Installed(None, lambda: own_body(sources), lambda: None)
    return Installed(metrics.observe, lambda: _body(sources, metrics), metrics.close)


def _blueprint(app: Flask, prefix: str) -> tuple[Blueprint, str | None]:
    """Return the blueprint, and the host of its rules where the application tells routes apart by host: any."""
    blueprint = Blueprint(BLUEPRINT, __name__, url_prefix=prefix or None)
    blueprint.url_value_preprocessor(lambda _, values: (values or {}).pop(ANY_HOST, None))
    if not app.url_map.host_matching:
        return blueprint, None

    def this_host(_endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault(ANY_HOST, request.host if has_request_context() else app.config["SERVER_NAME"])

    blueprint.url_defaults(this_host)
    return blueprint, f"<{ANY_HOST}>"


def _answer_elsewhere(app: Flask) -> None:
    """Let our routes answer to an address too where Flask looks for subdomains: that is how a scrape asks."""
    for rule in _rules(app):
        other = rule.empty()
        other.subdomain, other.merge_slashes = ELSEWHERE, rule.merge_slashes
        other.provide_automatic_options = rule.provide_automatic_options  # type: ignore[attr-defined] # Flask's own
        app.url_map.add(other)


def _body(sources: StatusSources, metrics: Metrics) -> Mapping[str, object]:
    metrics.carry()
    return own_body(sources)


def _give_way(app: Flask, first: MutableMapping[str, Any]) -> None:
    """Leave to the application the paths of ours that it has routes for, and say so; called until setup is over."""
    answered = [rule for rule in _rules(app) if rule.methods and _name(rule) in (*PROBES, *FOR_PEOPLE)]
    own = {rule.rule.rstrip("/") for rule in _rules(app, ours=False) if not rule.subdomain and not rule.host}
    for path in sorted(own & {rule.rule for rule in answered}):
        log.warning("STATUS_PREFIX: %s", line(diagnose("status-route-taken", path=path)))
        first.pop(path, None)
        _retire(rule for rule in answered if rule.rule == path)


def _retire(rules: Iterable[Rule]) -> None:
    """Let rules stay in the map, for `url_for`, and match no request any more."""
    for rule in rules:
        rule.methods = set()


def _rules(app: Flask, *, ours: bool = True) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{BLUEPRINT}.") is ours]


def _name(rule: Rule) -> str:
    return str(rule.endpoint.partition(".")[2])


def _probe_view(answer: Callable[[dict[str, object]], Body]) -> Callable[[], Response]:
    def view() -> Response:
        status, body = answer(request.environ)
        return Response(body, status, probe_headers(body))

    return view
