"""One login at an AMQP broker, for `check --connect`; the client tells how it went, and nothing is published."""

from contextlib import closing
from typing import Any

from settings.probe import HealthStatus, Reading
from settings.resolver import await_name
from settings.workers.broker_url import translated
from settings.workers.diagnosis import described, diagnose

_REFUSALS = {403: "broker-login-refused", 530: "broker-virtual-host"}
"""AMQP's reply codes."""


def try_amqp(url: str, seconds: float) -> Reading:
    """Return what came of a login with the URL's user, password and virtual host.

    Args:
        url: An `amqp://` or `amqps://` URL that Celery's client can read.
        seconds: How long the name server, the connection and each answer may take.
    """
    try:
        _log_in(url, seconds)
    except Exception as error:  # noqa: BLE001 - any fault of any broker
        code = _REFUSALS.get(getattr(error, "reply_code", 0), "broker-unreachable")
        why = diagnose(code, error=described(error))
        return Reading(HealthStatus.UNHEALTHY, why.cause, why.code, why.cause, why.fix)
    return Reading(HealthStatus.HEALTHY, "answers, and took user and password")


def _log_in(url: str, seconds: float) -> None:
    from kombu.connection import Connection  # costs, and is there with Celery only

    connect: Any = Connection  # kombu annotates some of its functions only
    broker, limits = translated(url), {"read_timeout": seconds, "write_timeout": seconds}
    with closing(connect(broker.url, ssl=broker.tls, connect_timeout=seconds, transport_options=limits)) as connection:
        await_name(connection.hostname, connection.port or 0, seconds)
        transport = connection.transport
        transport.close_connection(transport.establish_connection())
