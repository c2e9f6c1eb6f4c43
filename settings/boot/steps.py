"""The steps of the boot, in order: each makes one part of the services and says what was chosen and why."""

import sys
from typing import TYPE_CHECKING

from settings.boot.command_line import LEFT_ALONE
from settings.boot.report import Outcome, StepStatus
from settings.boot.services import Boot
from settings.boot.threads import require_real_threads
from settings.loading import load_settings
from settings.model import Settings
from settings.probe import HealthStatus, Reading
from settings.problems import mask_urls
from settings.room import RoomSettings

if TYPE_CHECKING:
    from flask import Flask

    from settings.database.manager import ConnectionResult
    from settings.database.migrations import MigrationResult
    from settings.database.model import DatabaseSettings

ON_STANDARD_ERROR = frozenset({"bootstrap", "db"})
_STATUSES: dict[HealthStatus, StepStatus] = {HealthStatus.DISABLED: "disabled", HealthStatus.FALLBACK: "fallback"}


def load(boot: Boot) -> Outcome:
    """Settings: every problem at once, or values that are right."""
    require_real_threads()
    wanted = boot.wanted_settings
    models = [wanted] if isinstance(wanted, type) else wanted if isinstance(wanted, list | tuple) else ()
    settings = wanted if isinstance(wanted, Settings) else load_settings(models=_checked_models(models))
    boot.services.settings = settings
    replaced = (
        ", APP_SECRET_KEY replaces the application's own SECRET_KEY" if _set_secret_key(boot.app, settings) else ""
    )
    found = f", {len(settings.problems)} to look at" if settings.problems else ""
    return Outcome("ok", f"{settings.app.env}{_because(settings, 'APP_ENV')}{replaced}{found}")


def open_logs(boot: Boot) -> Outcome:
    """Logs: from here on everything that is logged comes the same way."""
    from settings.logs.sink import configure_logs

    settings = boot.settings
    stream = sys.stderr if boot.command in ON_STANDARD_ERROR else sys.stdout
    logs = boot.services.logs = configure_logs(
        settings.logs, app_name=settings.app.name, environment=settings.app.env, stream=stream, secrets=settings.secrets
    )
    boot.closers.add("logs", logs.close)
    logs.instrument(boot.app)
    report_problems(settings)
    also = f", also to {settings.logs.file}" if settings.logs.file else ""
    return Outcome("ok", f"{settings.logs.level} as {settings.logs.format}{also}{_because(settings, 'LOG_LEVEL')}")


def connect_database(boot: Boot) -> Outcome:
    """Database: the engine that DATABASE_URL names, or its fallback, aloud."""
    from settings.boot.beside import lead_flask_sqlalchemy, prepare_flask_sqlalchemy
    from settings.boot.hooks import end_sessions, session_scope
    from settings.database.manager import DatabaseManager, SmartConnectionManager

    settings = boot.settings
    connections = SmartConnectionManager(
        _logged(boot),
        app_name=settings.app.name,
        strict=settings.app.strict,
        refused=settings.refused("DATABASE_URL"),
    )
    database = boot.services.database = DatabaseManager(connections, scope=session_scope)
    boot.closers.add("database", database.close)
    end_sessions(boot.app, database)
    if boot.command in LEFT_ALONE:
        prepare_flask_sqlalchemy(boot.app, database, boot.command)
        return Outcome("ok", f"connects when it is used, because flask {boot.command} decides")
    database.engine  # noqa: B018 - connects, or raises what is wrong
    lead_flask_sqlalchemy(boot.app, database)
    return _database_outcome(settings, database.result)


def migrate(boot: Boot) -> Outcome:
    """Migrations: the tables are there when the application serves."""
    from settings.database.migrations import MigrationManager

    services, settings = boot.services, boot.settings.database
    manager = services.migrations = MigrationManager(
        lambda: services.engine, wait=settings.migrate_wait, metadata=boot.metadata, folder=boot.migrations
    )
    if boot.command in LEFT_ALONE:
        return Outcome("disabled", f"nothing is changed, because flask {boot.command} decides")
    if not settings.migrate:
        return Outcome("disabled", "DATABASE_MIGRATE is false: run flask bootstrap migrate")
    services.database.subscribe(lambda _engine: manager.ensure_tables_exist())
    return _migrated(manager.ensure_tables_exist())


def open_cache(boot: Boot) -> Outcome:
    """Cache: Redis where REDIS_URL names one that answers, else the memory of this process."""
    from settings.cache.backend import build_cache

    settings = boot.settings
    cache = boot.services.cache = build_cache(
        settings.redis, settings.cache, strict=settings.app.strict, refused=settings.refused("REDIS_URL")
    )
    boot.closers.add("cache", cache.close)
    cache.init_app(boot.app)
    reading = cache.reading() if boot.command in LEFT_ALONE else cache.ping()
    if reading.status is HealthStatus.DISABLED:
        return Outcome("ok", "in this process, because REDIS_URL is not set")
    return _outcome(reading)


def prepare_websocket(boot: Boot) -> Outcome:
    """WebSocket: prepared here, connected where requests are served."""
    from settings.websocket.client import WebSocketClient
    from settings.workers.context import ApplicationContextManager

    services = boot.services
    services.context = ApplicationContextManager(boot.app, cleanup=services.database.remove_session)
    client = services.websocket = WebSocketClient(
        boot.settings.websocket,
        app_name=boot.settings.app.name,
        run_in_context=services.context.run_with_context,
        refused=boot.settings.refused("WS_URL"),
    )
    boot.closers.add("websocket", client.close)
    return _outcome(client.reading())


def prepare_workers(boot: Boot) -> Outcome:
    """Workers: registered here, started where requests are served."""
    from settings.boot.background import assemble_workers

    assemble_workers(boot)
    settings = boot.settings.workers
    if not settings.enabled:
        return Outcome("disabled", f"WORKERS_ENABLED is false{_because(boot.settings, 'WORKERS_ENABLED')}")
    names = ", ".join(job.name for job in boot.services.workers.jobs())
    return Outcome("ok", f"{names}; they start where requests are served")


def publish_status(boot: Boot) -> Outcome:
    """Status: the routes for machines and people, in front of everything that the application does."""
    from settings.boot.hooks import instrument_requests, lead_home, publish

    publish(boot)
    instrument_requests(boot)
    lead_home(boot)
    prefix, status = boot.settings.status.prefix, boot.settings.status
    seen = "from this machine" if status.page else "with STATUS_TOKEN" if status.token else "by nobody"
    return Outcome("ok", f"{prefix}/livez, {prefix}/readyz, {prefix}/healthz; {prefix}/status may be seen {seen}")


def _set_secret_key(app: "Flask", settings: Settings) -> bool:
    """Set SECRET_KEY where the environment names one; say whether that replaced another one."""
    if settings.app.secret_key is None:
        return False
    earlier = app.config.get("SECRET_KEY")
    app.config["SECRET_KEY"] = settings.app.secret_key.get_secret_value()
    return earlier is not None and earlier != app.config["SECRET_KEY"]


def report_problems(settings: Settings) -> None:
    """Log what the settings let pass: warnings, and the errors that a fallback bears."""
    import logging

    log = logging.getLogger("settings")
    levels = {"error": logging.ERROR, "warning": logging.WARNING, "notice": logging.INFO}
    for each in settings.problems:
        log.log(
            levels[each.severity],
            "%s: %s [%s, from %s]. Fix: %s",
            each.variable,
            each.message,
            each.code,
            each.source,
            each.fix,
        )


def _logged(boot: Boot) -> "DatabaseSettings":
    """Return the database's settings, what DATABASE_ECHO asks for left to the log: `echo=True` prints by itself."""
    settings = boot.settings.database
    if settings.echo:
        boot.services.logs.set_level("INFO", "sqlalchemy.engine")
    return settings.model_copy(update={"echo": False})


def _checked_models(models: object) -> list[type[RoomSettings]]:
    found = list(models) if isinstance(models, list | tuple) else []
    if not all(isinstance(each, type) and issubclass(each, RoomSettings) for each in found):
        raise TypeError("bootstrap(settings=…) takes a Settings, or subclasses of RoomSettings")
    return found


def _because(settings: Settings, variable: str) -> str:
    origin = settings.origin(variable)
    return f", because {variable} is not set" if origin == "default" else f", from {origin}"


def _database_outcome(settings: Settings, result: "ConnectionResult") -> Outcome:
    target = mask_urls(result.target)
    if result.fallback_used:
        why = result.diagnosis.cause if result.diagnosis is not None else result.error_message
        return Outcome("fallback", f"{target}, because of DATABASE_URL: {why}")
    return Outcome("ok", f"{target}{_because(settings, 'DATABASE_URL')}")


def _migrated(result: "MigrationResult") -> Outcome:
    statuses: dict[str, StepStatus] = {"ok": "ok", "ahead": "fallback", "drift": "fallback"}
    return Outcome(statuses.get(result.status, "failed"), str(result))


def _outcome(reading: Reading) -> Outcome:
    detail = f"{reading.detail}: {reading.cause}" if reading.cause else reading.detail
    return Outcome(_STATUSES.get(reading.status, "ok"), detail)
