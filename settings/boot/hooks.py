"""What a boot writes on the application: routes, commands, middleware, extensions; and the last line of its report."""

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Flask, redirect, request
from flask.globals import _cv_app  # the context variable itself: the public proxy raises where there is none
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from settings.boot.command_line import LEFT_ALONE, address_to_open
from settings.boot.commands import bootstrap_commands
from settings.boot.lifecycle import Lifecycle
from settings.boot.requests import FirstRequest, RequestInstrument
from settings.boot.services import Boot

if TYPE_CHECKING:
    from settings.database.manager import DatabaseManager

log = logging.getLogger(__name__)
OWN_APP = "TWELVEFACTOR_OWN_APP"
OUR_ROUTES = "twelvefactor."


def own_app() -> Flask:
    """Return the application of a service that has none of its own."""
    app = Flask("app", static_folder=None)
    app.config[OWN_APP] = True
    return app


def session_scope() -> object | None:
    """Return the application context that runs; None where there is none, which leaves it to the thread."""
    return _cv_app.get(None)


def end_sessions(app: Flask, database: "DatabaseManager") -> None:
    """Return each context's session when it ends, after all that the application does then: it may use one, too."""
    app.teardown_appcontext_funcs.insert(0, lambda _error: database.remove_session())


def publish(boot: Boot) -> None:
    """Add the status routes, in front of the application's own hooks."""
    from settings.boot.sources import status_sources
    from settings.status.routes import install_status

    status = boot.services.status = install_status(boot.app, boot.settings.status, status_sources(boot.services))
    boot.closers.add("status", status.close)


def instrument_requests(boot: Boot) -> None:
    """Wrap the application: request id, log context and stopwatch; the lifecycle; the proxies in front."""
    from settings.logs.context import bind, request_id_from, unbind

    services, app = boot.services, boot.app
    lifecycle, count = services.lifecycle, services.status.observe

    def observe(endpoint: str, status: int, seconds: float) -> None:
        if not endpoint.startswith(OUR_ROUTES):  # a probe that says 503 is no failing endpoint of the application's
            services.performance.observe(endpoint, status, seconds)
        if count is not None:
            count(endpoint, status, seconds)

    wrapped = RequestInstrument(
        app.wsgi_app,
        bind=bind,
        unbind=unbind,
        request_id=request_id_from,
        observe=observe,
        streaming=boot.services.database.lend_thread_session,
    )
    app.wsgi_app = FirstRequest(wrapped, lifecycle.on_request)  # type: ignore[method-assign] # Flask's own way to add middleware
    if hops := boot.settings.app.proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops)  # type: ignore[method-assign] # as above


def lead_home(boot: Boot) -> None:
    """Let `/` of an application that a boot made itself lead to the status page."""
    if not boot.app.config.get(OWN_APP):
        return
    target = f"{boot.settings.status.prefix}/status"

    def home() -> Response:
        root = request.script_root.strip("/")  # with two slashes in front it would be another host
        return redirect(f"{'/' if root else ''}{root}{target}")

    boot.app.add_url_rule("/", "home", home)


def announce(boot: Boot) -> None:
    """Finish: register what the application can be asked for, arm the lifecycle, show the report."""
    services, app = boot.services, boot.app
    app.extensions["bootstrap"] = services
    app.cli.add_command(bootstrap_commands(services))
    try:
        services.lifecycle.arm()
    except BaseException:
        del app.extensions["bootstrap"]  # or the next boot would take this one for done
        raise
    steps = ", ".join(f"{row.name} {row.status}" for row in boot.report.rows)
    log.info("booted %s in %.0f ms: %s", boot.settings.app.name, boot.report.milliseconds, steps)
    if boot.settings.logs.format == "text" and boot.command not in LEFT_ALONE:
        address = address_to_open()
        words = [str(boot.report), *([f"  open {address}"] if address else [])]
        with suppress(OSError):  # a full or closed terminal ends no boot
            print("\n".join(words), file=sys.stdout, flush=True)  # noqa: T201 - the report is for the terminal


def prepare_lifecycle(boot: Boot) -> Lifecycle:
    """Return what starts and ends the background work of each process."""
    services = boot.services

    def start() -> None:
        services.logs.start()
        services.websocket.start()
        services.workers.start()

    def end_jobs() -> bool:
        services.workers.close()
        facts = services.workers.reading().facts
        return bool(facts.get("busy") or facts.get("tasks_waiting"))

    return Lifecycle(
        start=start,
        end_jobs=end_jobs,
        close=boot.closers.close,
        last_words=services.logs.tell_rest,
        decide=False if boot.command in LEFT_ALONE and boot.start is None else boot.start,
        grace=boot.settings.workers.grace,
        takes_sigterm=boot.command in (None, "run"),
    )
