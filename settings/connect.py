"""`check --connect`: each configured service tried once, side by side, within its own time-outs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from pydantic import SecretStr

from settings.backoff import Deadline
from settings.cache.model import RedisSettings
from settings.database.config import DatabaseType
from settings.database.model import DatabaseSettings
from settings.database.url import DatabaseURLParser
from settings.model import Settings
from settings.probe import HealthStatus, Reading
from settings.problems import Problem, mask_secrets, mask_url
from settings.workers.broker_url import AMQP, REDIS, for_redis, translated

MARGIN_SECONDS = 3.0
"""What a service gets beyond its time-out to connect: for the questions that are asked once it is there."""
UNKNOWN, NO_ANSWER = "connect-unknown-fault", "connect-no-answer"
READ_ONLY = "database-takes-no-writes"
CODES = frozenset({UNKNOWN, NO_ANSWER, READ_ONLY})
_STATUSES = {HealthStatus.HEALTHY: "ok", HealthStatus.FALLBACK: "warning"}

Answer = tuple[Reading, tuple[Problem, ...]]
_READ_ONLY = {
    DatabaseType.POSTGRESQL: Reading(
        HealthStatus.FALLBACK,
        code=READ_ONLY,
        cause="it answers, but takes no writes: it is a standby, or default_transaction_read_only is on",
        fix="point DATABASE_URL at the primary, or add ?target_session_attrs=read-write to several hosts",
    ),
    DatabaseType.SQLITE: Reading(
        HealthStatus.FALLBACK,
        code=READ_ONLY,
        cause="it can be read, but not written: the file, its folder or the URL's mode=ro allows no writes",
        fix="let this user write the file and its folder, or remove mode=ro from DATABASE_URL",
    ),
}


@dataclass(frozen=True, slots=True)
class Service:
    """What came of trying one service.

    Attributes:
        name: `database`, `redis`, `broker` or `websocket`.
        target: What its URL names, masked.
        status: `ok`, `warning` (it answers, and something is to be looked at) or `failed`.
        latency_ms: How long the whole attempt took, in milliseconds.
        message: What it said, or why it cannot be used with a stable code in brackets; masked.
        fix: What a person should do; empty when there is nothing to do.
        problems: What the answer says of the settings, such as a pool that is larger than the server.
    """

    name: str
    target: str
    status: str
    latency_ms: float
    message: str
    fix: str = ""
    problems: tuple[Problem, ...] = ()

    def row(self) -> dict[str, object]:
        """Return the service as the JSON of `check` shows it."""
        names = ("name", "target", "status", "latency_ms", "message", "fix")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One service: what to ask, and how long an answer may take in all."""

    name: str
    target: str
    seconds: float
    ask: Callable[[], Answer]
    secrets: frozenset[str]

    def run(self) -> Service:
        """Ask once and return what came of it; never raises."""
        begin = time.perf_counter()
        try:
            reading, problems = self.ask()
        except Exception as error:  # noqa: BLE001 - one service's surprise must not hide the others' answers
            said = mask_secrets(f"{type(error).__name__}: {error}", self.secrets)
            cause = f"a fault that is not known here; it said: {said}"
            reading, problems = Reading(HealthStatus.UNHEALTHY, cause, UNKNOWN, cause, "look this message up"), ()
        milliseconds = round((time.perf_counter() - begin) * 1000, 1)
        status = _STATUSES.get(reading.status, "failed")
        message = f"{reading.cause} [{reading.code}]" if reading.code else reading.detail
        return Service(self.name, self.target, status, milliseconds, message, reading.fix, problems)

    def unanswered(self) -> Service:
        """Return the service when no answer came in time."""
        message = f"no answer within {self.seconds:g} s [{NO_ANSWER}]"
        fix = "see whether the host's name is resolved, and whether a firewall drops what is sent to it"
        return Service(self.name, self.target, "failed", self.seconds * 1000, message, fix)


def try_services(
    settings: Settings, *, processes: int = 1, progress: Callable[[str], object] = lambda _line: None
) -> list[Service]:
    """Return what came of one attempt at each configured service, in the order database, Redis, broker, WebSocket.

    They are tried at the same time, so that all of it takes as long as the slowest; a service that is not
    configured is not there. Never raises for a service's fault, and leaves no connection open.

    Args:
        settings: Valid settings.
        processes: How many of them are going to serve, each with a pool of its own.
        progress: Told in a line, in this thread, what is waited for.
    """
    attempts = list(_attempts(settings, processes))
    done: SimpleQueue[Service] = SimpleQueue()
    for each in attempts:
        # A daemon: a name server that never answers must not keep the command from ending.
        Thread(target=lambda attempt=each: done.put(attempt.run()), name=f"try-{each.name}", daemon=True).start()
    found: dict[str, Service] = {}
    deadline = Deadline(max((each.seconds for each in attempts), default=0))
    while waiting := [each.name for each in attempts if each.name not in found]:
        progress(f"waiting for {', '.join(waiting)} …")
        try:
            service = done.get(timeout=deadline.left())
        except Empty:
            break
        found[service.name] = service
    return [found.get(each.name) or each.unanswered() for each in attempts]


def _attempts(settings: Settings, processes: int) -> Iterator[Attempt]:
    """Yield what is configured; the libraries are imported here, so that no latency counts an import."""
    redis, workers = settings.redis, settings.workers
    if settings.database.url is not None:
        yield _database_attempt(settings, settings.database.url.get_secret_value(), processes)
    if redis.url is not None:
        yield _redis_attempt("redis", redis, settings, "REDIS_URL")
    if workers.engine == "celery" and workers.broker_url is not None:
        yield _broker_attempt(settings, workers.broker_url.get_secret_value())
    if settings.websocket.url is not None and settings.websocket.enabled:
        yield _gateway_attempt(settings, settings.websocket.url.get_secret_value())


def _database_attempt(settings: Settings, url: str, processes: int) -> Attempt:
    from settings.database.manager import DatabaseManager, SmartConnectionManager
    from settings.database.migrations import MigrationManager

    once = settings.database.model_copy(update={"wait": 0.0, "fallback_url": None})

    def ask() -> Answer:
        if missing := _missing_file(url):
            return missing, ()
        manager = DatabaseManager(SmartConnectionManager(once, app_name=settings.app.name, strict=True))
        try:
            reading = manager.ping(once.connect_timeout)
            if reading.status is not HealthStatus.HEALTHY:
                return reading, ()
            problems = _pool_problems(once, manager.max_connections(), processes)
            if manager.is_read_only():
                return _READ_ONLY[DatabaseURLParser.detect_database_type(url)], problems
            schema = MigrationManager(lambda: manager.engine, wait=0).reading()
            return _with_schema(schema, migrate=once.migrate), problems
        finally:
            manager.close()

    # libpq waits two seconds at the least (postgresql.org/docs/current/libpq-connect.html, connect_timeout).
    seconds = max(2.0, once.connect_timeout) + MARGIN_SECONDS
    return Attempt("database", mask_url(url), seconds, ask, settings.secrets)


def _missing_file(url: str) -> Reading | None:
    """Return what there is to say of a SQLite file that is not there: to connect would make it."""
    file = DatabaseURLParser.parse_url(url).file
    if file is None or file.exists():
        return None
    return Reading(HealthStatus.HEALTHY, "the file is not there yet; the first boot makes it")


def _with_schema(schema: Reading, *, migrate: bool) -> Reading:
    if schema.status is HealthStatus.HEALTHY:
        return Reading(HealthStatus.HEALTHY, f"answers; its schema is {schema.detail}")
    if schema.status is HealthStatus.UNHEALTHY and migrate:
        return Reading(HealthStatus.HEALTHY, f"answers; {schema.cause}, which the next boot applies")
    return Reading(HealthStatus.FALLBACK, schema.detail, schema.code, f"answers, but {schema.cause}", schema.fix)


def _pool_problems(database: DatabaseSettings, most: int | None, processes: int) -> tuple[Problem, ...]:
    wanted = (database.pool_size + database.max_overflow) * processes
    if most is None or wanted <= most:
        return ()
    whose = f", in {processes} processes" if processes > 1 else ""
    message = f"with DATABASE_MAX_OVERFLOW{whose} it asks for {wanted} connections, and the server has {most} in all"
    fix = f"let both together, times the number of processes, stay below {most}, or raise the server's max_connections"
    return (Problem("DATABASE_POOL_SIZE", "warning", "pool-beyond-server", message, fix, "check --connect"),)


def _redis_attempt(name: str, redis: RedisSettings, settings: Settings, variable: str) -> Attempt:
    from settings.cache.client import RedisStore, connect
    from settings.cache.diagnosis import VARIABLE as REDIS_VARIABLE
    from settings.cache.diagnosis import diagnose_redis

    url = "" if redis.url is None else redis.url.get_secret_value()

    def ask() -> Answer:
        try:
            store = RedisStore(lambda: connect(redis), prefix=settings.cache.key_prefix)
            store.probe()
            store.close()
        except Exception as error:  # noqa: BLE001 - whatever the client raises is diagnosed, and shown when unknown
            why = diagnose_redis(error, tls=url.lower().startswith("rediss:"))
            cause, fix = (each.replace(REDIS_VARIABLE, variable) for each in (why.cause, why.fix))
            return Reading(HealthStatus.UNHEALTHY, cause, why.code, cause, fix), ()
        return Reading(HealthStatus.HEALTHY, "answers"), ()

    return Attempt(name, mask_url(url), redis.connect_timeout + redis.timeout + MARGIN_SECONDS, ask, settings.secrets)


def _broker_attempt(settings: Settings, url: str) -> Attempt:
    from settings.workers.broker import unusable_broker

    if why := unusable_broker(url):
        refused = Reading(HealthStatus.UNHEALTHY, why.cause, why.code, why.cause, why.fix)
        return Attempt("broker", mask_url(url), MARGIN_SECONDS, lambda: (refused, ()), settings.secrets)
    scheme = translated(url).scheme
    if scheme in REDIS:
        # Where no broker is named, REDIS_URL is the one.
        variable = "WORKERS_BROKER_URL" if "WORKERS_BROKER_URL" in settings.origins else "REDIS_URL"
        redis = settings.redis.model_copy(update={"url": SecretStr(for_redis(url))})
        return _redis_attempt("broker", redis, settings, variable)

    if scheme not in AMQP:
        untried = Reading(HealthStatus.HEALTHY, f"not tried: only its client can open {scheme}://")
        return Attempt("broker", mask_url(url), MARGIN_SECONDS, lambda: (untried, ()), settings.secrets)
    from settings.workers.trial import try_amqp

    limit = settings.redis.connect_timeout
    return Attempt(
        "broker", mask_url(url), limit + MARGIN_SECONDS, lambda: (try_amqp(url, limit), ()), settings.secrets
    )


def _gateway_attempt(settings: Settings, url: str) -> Attempt:
    from settings.websocket.trial import try_gateway

    seconds = settings.websocket.connect_timeout + MARGIN_SECONDS
    return Attempt("websocket", mask_url(url), seconds, lambda: (try_gateway(settings.websocket), ()), settings.secrets)
