"""The part of the boot that makes what works in the background: health, claims, jobs, and what starts them."""

from collections.abc import Mapping

from settings.boot.hooks import prepare_lifecycle
from settings.boot.names import ProcessName
from settings.boot.own_snapshot import OwnSnapshot
from settings.boot.services import Boot, Services
from settings.database.alerts import Alerts
from settings.database.claims import Claims
from settings.database.retention import Retention
from settings.database.snapshots import Snapshots
from settings.probe import Fact, HealthStatus, Reading
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
    snapshot = OwnSnapshot(services)
    services.health = _health(boot, snapshot)
    boot.closers.add("health", services.health.close)
    boot.closers.add("snapshot", snapshot.forget)
    boot.closers.add("workers", services.workers.close)
    _register_jobs(boot, snapshot)
    if settings.workers.engine == "celery":
        _use_celery(boot)
    services.lifecycle = prepare_lifecycle(boot)


def _keep_records(boot: Boot) -> None:
    services, name, within = boot.services, boot.settings.app.name, boot.services.database.within
    services.claims = Claims(
        lambda: services.engine,
        app_name=name,
        owner=services.process_name,
        within=within,
        spare=lambda: services.database.spare_engine,
    )
    services.alerts = Alerts(lambda: services.engine, within=within)
    services.retention = Retention(
        lambda: services.engine,
        app_name=name,
        snapshot_seconds=boot.settings.workers.health_interval,
        within=within,
    )
    services.snapshots = Snapshots(lambda: services.engine, app_name=name, within=within)


def _health(boot: Boot, snapshot: OwnSnapshot) -> ServiceHealthManager:
    services = boot.services
    publisher = Publisher(services.websocket)
    services.alerts.subscribe(publisher.alert_raised)

    def changed(change: Transition) -> None:
        publisher.health_changed(change)
        snapshot.write_if_serving()

    health = ServiceHealthManager(on_change=changed)
    told = HealthStatus.FALLBACK if services.database.result.fallback_used else HealthStatus.UNKNOWN
    health.register("database", lambda: services.database.ping(PROBE_SECONDS), critical=True, status=told)
    health.register("migrations", lambda: _schema(services), critical=True)
    health.register("cache", services.cache.ping, quiet=True)
    health.register("websocket", services.websocket.reading, quiet=True)
    health.register("workers", services.workers.reading)
    health.register("performance", services.performance.reading)
    # A change of the connection is seen at once, not at the next look.
    services.websocket.on_change(lambda _change: health.refresh())
    return health


def _schema(services: Services) -> Reading:
    """Read the schema's version, by a deadline: one connection that froze would else be waited for, for good."""
    with services.database.within(PROBE_SECONDS):
        return services.migrations.reading()


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
        at_process_end=services.close,
    )
    services.health.register("broker", publisher.reading, quiet=True)
    boot.closers.add("broker", publisher.close)


def _register_jobs(boot: Boot, snapshot: OwnSnapshot) -> None:
    services = boot.services

    def look() -> None:
        services.health.refresh()
        if services.lifecycle.state == "serving":  # a process of Celery's runs the job, and serves nobody
            snapshot.write()

    register_builtin(
        services.workers,
        boot.settings.workers,
        look=look,
        monitor=services.performance,
        alerts=services.alerts,
        retention=services.retention,
    )
