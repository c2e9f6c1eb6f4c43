"""The routes for people, and /metrics."""

import logging
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, Response, abort, request, send_from_directory
from werkzeug.exceptions import MethodNotAllowed

from settings.problems import Diagnosis
from settings.status.access import COOKIE, SIGNED_IN_SECONDS, Access, is_same_origin
from settings.status.diagnosis import diagnose, line
from settings.status.kept import within
from settings.status.metrics import CONTENT_TYPE, Metrics
from settings.status.pages import Pages
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
LONGEST_FORM = 16 * 1024
"""Bytes that a stranger may send; an upload would fill memory and disk before anybody is asked who they are."""
STATIC = Path(__file__).parent / "static"
READING = ("GET", "HEAD")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT")


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

    def add_to(self, blueprint: Blueprint, *, host: str | None = None) -> None:
        """Add the routes, on that host; each answers to every method, so that none gives it away."""

        def add(path: str, name: str, view: Callable[..., Response], *, post: bool = False) -> None:
            blueprint.add_url_rule(
                path, name, self._methods(view, ("POST",) if post else READING), methods=METHODS,
                provide_automatic_options=False, merge_slashes=False, host=host,
            )  # fmt: skip

        add("/status", "status", self.status)
        add("/metrics", "metrics", self.metrics)
        add("/status/static/<path:filename>", "asset", self.asset)
        add("/status/sign-in", "sign_in", self.sign_in, post=True)
        add("/status/sign-out", "sign_out", self.sign_out, post=True)
        numbered = "<int(max=9223372036854775807):number>/<any(acknowledge, resolve):change>"
        add(f"/status/alerts/{numbered}", "alert", self.alert, post=True)

    def _methods(self, view: Callable[..., Response], methods: tuple[str, ...]) -> Callable[..., Response]:
        """Return a view that those alone reach who may know of it, by these methods alone."""

        def answer(**values: object) -> Response:
            if not self._access.with_token and not self._access.caller(request.environ).may_see:
                abort(404)
            if request.method in methods:
                return view(**values)
            if request.method in READING:  # somebody went back to, or reloaded, what a form was sent to
                return _see_other(self._base())
            raise MethodNotAllowed(methods)

        return answer

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
        if (refusal := self._foreign()) is not None:
            return refusal
        request.max_content_length = LONGEST_FORM
        if not self._access.is_token(request.form.get("token", "").strip()):
            log.warning("STATUS_TOKEN: %s", line(diagnose("wrong-token", address=request.remote_addr)))
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
        if (refusal := self._foreign()) is not None:
            return refusal
        response = _see_other(self._base())
        response.delete_cookie(COOKIE, path=self._base(), httponly=True, samesite="Strict")
        return response

    def alert(self, number: int, change: str) -> Response:
        """Acknowledge or resolve an alert, for those who may, from a page of ours."""
        caller = self._access.caller(request.environ)
        if not caller.may_change:
            return self._ask_for_token()
        if not caller.by_token and (refusal := self._foreign()) is not None:
            return refusal
        return self._change(number, change, caller.name or request.remote_user or "status page")

    def _change(self, number: int, change: str, by: str) -> Response:
        alerts, answers = self._sources.alerts, []
        changes: dict[str, Callable[[], object]] = {
            "acknowledge": lambda: alerts.acknowledge(number, by), "resolve": lambda: alerts.resolve(number)
        }  # fmt: skip
        if not within(ACTION_SECONDS, f"status-{change}", lambda: answers.append(changes[change]())):
            return self._say(503, "Not changed", diagnose("alert-not-changed", error="the log says why"))
        self._gatherer.forget()
        if answers == [False]:
            return self._say(409, "Not changed", diagnose("alert-changed-meanwhile"))
        log.info("alert %d: %s, by %r", number, change, by)
        return _see_other(f"{self._base()}#alerts")

    def _ask_for_token(self, *, wrong: bool = False) -> Response:
        """Tell nothing: where no token is set, not even that there is a page."""
        if not self._access.with_token:
            abort(404)
        response = _html(self._pages.sign_in(base=self._base(), wrong=wrong), 401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _foreign(self) -> Response | None:
        """Return the refusal of what another site sent; an answer, since an error handler might make it a success."""
        return None if is_same_origin(request.environ) else self._say(403, "Refused", diagnose("foreign-origin"))

    def _say(self, status: int, title: str, fault: Diagnosis) -> Response:
        text = f"{fault.cause[0].upper()}{fault.cause[1:]}. What to do: {fault.fix}."
        return _html(self._pages.message(base=self._base(), title=title, text=text), status)

    def _base(self) -> str:
        """Return the path of the page as the browser sees it, whatever it is mounted under."""
        root = request.script_root.strip("/")  # with two slashes in front it would be another host
        return f"{'/' if root else ''}{root}{self._prefix}/status"

    def asset(self, filename: str) -> Response:
        """Serve the style, the script and the icons, which hold nothing of the service."""
        response = send_from_directory(STATIC, filename)
        response.headers.update({**HEADERS, "Cache-Control": "no-cache"})
        return response


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, HEADERS, mimetype="text/html")


def _plain(status: int, fault: Diagnosis) -> Response:
    return Response(f"{line(fault)}\n", status, HEADERS, mimetype="text/plain")


def _see_other(path: str) -> Response:
    return Response(status=303, headers={**HEADERS, "Location": path})
