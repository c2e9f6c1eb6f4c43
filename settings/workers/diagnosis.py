"""What goes wrong with workers and contexts: errors that say what to do, and the room's table of diagnoses."""

import functools
from collections.abc import Callable
from typing import Any

from settings.problems import Diagnosis, mask_urls

_NO_REQUEST = ("Working outside of request context", "Unable to build URLs outside an active request")
_NO_APPLICATION = "Working outside of application context"

_TABLE = {
    "worker-failed": Diagnosis(
        "worker-failed",
        "the job raised {error}",
        "read the traceback in the log; the job is kept and runs again, with growing pauses while it goes on failing",
        transient=True,
    ),
    "worker-overran": Diagnosis(
        "worker-overran",
        "the job has been running for longer than its time limit",
        "give what it calls a time-out of its own, or raise timeout=; a thread cannot be stopped from outside",
    ),
    "worker-claims-unavailable": Diagnosis(
        "worker-claims-unavailable",
        "the database that holds the claims does not answer ({error}), so jobs that run once in the fleet wait",
        "bring the database back; the jobs go on by themselves",
        transient=True,
    ),
    "probe-failed": Diagnosis(
        "probe-failed",
        "its probe raised {error}",
        "mend the service, or the probe that was registered for it",
        transient=True,
    ),
    "probe-silent": Diagnosis(
        "probe-silent",
        "no answer for {seconds:.1f} s",
        "see whether the service hangs; its own time-out should be shorter than that of its probe",
        transient=True,
    ),
    "probe-said-no": Diagnosis(
        "probe-said-no",
        "its probe answered no",
        "look at the service; a probe that returns a Reading can say more",
        transient=True,
    ),
    "probe-answer-unusable": Diagnosis(
        "probe-answer-unusable",
        "its probe returned {error}",
        "return a Reading, a HealthStatus or a bool from the probe",
    ),
    "broker-unavailable": Diagnosis(
        "broker-unavailable",
        "the Celery broker could not be used ({error})",
        "bring the broker that WORKERS_BROKER_URL (or REDIS_URL) names back, and send again what was not published",
        transient=True,
    ),
    "broker-answer-lost": Diagnosis(
        "broker-answer-lost",
        "the call was sent to the Celery broker, which did not confirm it ({error}); a worker may run it, or nobody",
        "send it again only if its task may run twice, and see whether the broker is slow",
        transient=True,
    ),
    "broker-client-missing": Diagnosis(
        "broker-client-missing",
        "a broker at {scheme}:// needs {module}, which is not installed",
        "install Celery's extra for this broker, such as celery[sqs], or name a broker on Redis or RabbitMQ",
    ),
    "broker-login-refused": Diagnosis(
        "broker-login-refused",
        "the broker refuses user and password ({error})",
        "mend user and password in the URL, percent-encoded; guest is let in from the broker's own machine only",
    ),
    "broker-unreachable": Diagnosis(
        "broker-unreachable",
        "no login came about at the broker: it could not be reached, or did not answer ({error})",
        "start it, or mend host and port of WORKERS_BROKER_URL; a port that wants TLS needs amqps://",
        transient=True,
    ),
    "broker-url-unusable": Diagnosis(
        "broker-url-unusable",
        "Celery's client cannot read this {scheme}:// URL ({error})",
        "remove the options behind its question mark, and write user and password before the host, percent-encoded; "
        "a socket is redis+socket:///run/redis/redis.sock",
    ),
    "broker-virtual-host": Diagnosis(
        "broker-virtual-host",
        "the broker has no such virtual host, or the user may not use it ({error})",
        "mend what stands behind the host: //host// is the virtual host /, and //host/shop is shop; or let the user in",
    ),
    "broker-busy": Diagnosis(
        "broker-busy",
        "all {number} connections of this process to the broker were in use for {seconds:g} s",
        "send the call again, send fewer at a time, or look why the broker is slow",
        transient=True,
    ),
    "task-not-json": Diagnosis(
        "task-not-json",
        "its arguments cannot be written as JSON ({error})",
        "hand over numbers, texts, lists and dictionaries, and read objects from the database in the task",
    ),
    "task-refused": Diagnosis(
        "task-refused",
        "the queue of this process is full ({error})",
        "call delay() less often, or move to WORKERS_ENGINE=celery",
        transient=True,
    ),
}

CODES = frozenset(_TABLE)


def diagnose(code: str, **values: object) -> Diagnosis:
    """Return the diagnosis of that code with the values in its cause, masked.

    Raises:
        KeyError: There is no such code; a defect of the caller.
    """
    entry = _TABLE[code]
    return Diagnosis(code, mask_urls(entry.cause.format(**values)), entry.fix, entry.transient)


def described(error: BaseException) -> str:
    """Return the type and first line of an error, masked: `OperationalError: connection refused`."""
    first = str(error).strip().partition("\n")[0]
    return mask_urls(f"{type(error).__name__}: {first}" if first else type(error).__name__)


class RequestContextError(RuntimeError):
    """Background work reached for something that only a request has.

    Attributes:
        function: Name of the function that ran without a request.
        reason: First line of what Flask said.
    """

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(function, reason)
        self.function, self.reason = function, reason

    def __str__(self) -> str:
        return (
            f"{self.function}() runs outside any request, so request, session and what is built on them do not exist "
            f"(Flask: {self.reason}). Fix: read what it needs while the request is there and hand it over as an "
            "argument; for url_for(), set SERVER_NAME; in a test, use app.test_request_context()."
        )


class ApplicationContextError(RuntimeError):
    """Work that a wrapped function handed to another thread reached for an application context there.

    Attributes:
        function: Name of the wrapped function in which the error came up.
        reason: First line of what Flask said.
    """

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(function, reason)
        self.function, self.reason = function, reason

    def __str__(self) -> str:
        return (
            f"{self.function}() has an application context, but what it called has none (Flask: {self.reason}): a "
            "context does not follow into another thread. Fix: wrap what runs there with "
            "services.context.ensure_context."
        )


def name_of(function: Callable[..., Any]) -> str:
    """Return the name by which people know a function, a partial or a callable object."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def explained(error: RuntimeError, function: Callable[..., Any]) -> RuntimeError | None:
    """Return an error that says what to do, when `error` is Flask's complaint about a missing context."""
    reason = str(error).partition("\n")[0].rstrip(".")
    if reason.startswith(_NO_REQUEST):
        return RequestContextError(name_of(function), reason)
    if reason.startswith(_NO_APPLICATION):
        return ApplicationContextError(name_of(function), reason)
    return None


class WorkerDefinitionError(ValueError):
    """A job or task cannot be registered as it was written.

    Attributes:
        name: The name under which it was to be registered.
        cause: What is wrong with it.
        fix: What to write instead.
    """

    def __init__(self, name: str, cause: str, fix: str) -> None:
        super().__init__(name, cause, fix)
        self.name, self.cause, self.fix = name, cause, fix

    def __str__(self) -> str:
        return f"worker {self.name!r}: {self.cause}. Fix: {self.fix}."
