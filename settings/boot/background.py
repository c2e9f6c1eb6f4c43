"""The part of the boot that makes what works in the background: health, claims, jobs, and what starts them."""

import os
from collections.abc import Mapping

from settings.boot.hooks import prepare_lifecycle
from settings.boot.names import ProcessName
from settings.boot.services import Boot
from settings.database.alerts import Alerts
from settings.database.claims import Claims
from settings.database.retention import Retention
from settings.database.snapshots import Snapshots
from settings.probe import Fact, HealthStatus
from settings.websocket.publishing import Publisher
from settings.workers.builtin import register_builtin
from settings.workers.health import ServiceHealthManager, Transition
from settings.workers.performance import PerformanceMonitor
from settings.workers.scheduler import Workers

PROBE_SECONDS = 0.8
"""Below the second within which /readyz answers, however many services are frozen."""


def assemble_workers(boot: Boot) -> None:
    """Make health, claims, alerts and jobs; nothing of it runs before the lifecycle starts it."""
    services, settings = boot.services, boot.settings
    services.process_name = ProcessName()
    _keep_records(boot)
    services.performance = PerformanceMonitor(
        latency_threshold_ms=settings.workers.latency_threshold_ms,
        error_rate_threshold=settings.workers.error_rate_threshold,
        cache=lambda: _hits_and_misses(services.cache.figures()),
    )
    services.database.observe_statements(
        lambda statement, seconds, failed: services.performance.observe_statement(statement, seconds, failed=failed)
    )
    services.workers = Workers(
        settings.workers,
        context=services.context,
        claims=services.claims,
        app_name=settings.app.name,
        owner=services.process_name,
        bound=services.logs.bound,
    )
    services.health = _health(boot)
    boot.closers.add("health", services.health.close)
    boot.closers.add("snapshot", lambda: _forget_snapshot(boot))
    boot.closers.add("workers", services.workers.close)
    _register_jobs(boot)
    if settings.workers.engine == "celery":
        _use_celery(boot)
    services.lifecycle = prepare_lifecycle(boot)


def _keep_records(boot: Boot) -> None:
    services, name = boot.services, boot.settings.app.name
    services.claims = Claims(lambda: services.engine, app_name=name, owner=services.process_name)
    services.alerts = Alerts(lambda: services.engine)
    services.retention = Retention(lambda: services.engine)
    services.snapshots = Snapshots(lambda: services.engine, app_name=name)


def _health(boot: Boot) -> ServiceHealthManager:
    services = boot.services
    publisher = Publisher(services.websocket)
    services.alerts.subscribe(publisher.alert_raised)
    health = ServiceHealthManager(on_change=lambda change: _tell(boot, publisher, change))
    health.register("database", lambda: services.database.ping(PROBE_SECONDS), critical=True)
    health.register("migrations", services.migrations.reading, critical=True)
    health.register("cache", services.cache.ping)
    health.register("websocket", services.websocket.reading)
    health.register("workers", services.workers.reading)
    health.register("performance", services.performance.reading)
    # A change of the connection is seen at once, not at the next look.
    services.websocket.on_change(lambda _change: health.refresh())
    return health


def _tell(boot: Boot, publisher: Publisher, change: Transition) -> None:
    """Tell the gateway of a change of health, and the other processes' pages at once."""
    publisher.health_changed(change)
    if boot.services.lifecycle.state == "serving" and _database_answers(boot):
        _write_snapshot(boot)


def _write_snapshot(boot: Boot) -> None:
    services, name = boot.services, boot.services.process_name
    services.snapshots.write(name(), name.host, os.getpid(), services.status.snapshot_body())


def _forget_snapshot(boot: Boot) -> None:
    """Take this process off the page, unless its database would make the end wait."""
    if _database_answers(boot):
        boot.services.snapshots.forget(boot.services.process_name())


def _database_answers(boot: Boot) -> bool:
    database = boot.services.health.latest().get("database")
    return database is not None and database.status is HealthStatus.HEALTHY


def _hits_and_misses(figures: Mapping[str, Fact]) -> tuple[int, int]:
    return int(figures.get("hits") or 0), int(figures.get("misses") or 0)


def _use_celery(boot: Boot) -> None:
    """Let Celery run the fleet's jobs and the tasks; nothing is connected before the first call."""
    from settings.workers.celery import build_celery

    services, settings = boot.services, boot.settings
    services.celery, publisher = build_celery(
        services.workers,
        settings.workers,
        app_name=settings.app.name,
        connect_timeout=settings.redis.connect_timeout,
        timeout=settings.redis.timeout,
        retry_after=settings.cache.retry_after,
    )
    services.health.register("broker", publisher.reading)
    boot.closers.add("broker", publisher.close)


def _register_jobs(boot: Boot) -> None:
    services = boot.services

    def look() -> None:
        services.health.refresh()
        _write_snapshot(boot)

    register_builtin(
        services.workers,
        boot.settings.workers,
        look=look,
        monitor=services.performance,
        alerts=services.alerts,
        retention=services.retention,
    )
