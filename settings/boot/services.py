"""What a boot hands over: every part of the service behind one object that closes them all."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from flask import Flask

from settings.boot.closing import Closers
from settings.boot.report import BootReport
from settings.model import Settings

if TYPE_CHECKING:
    from celery import Celery
    from sqlalchemy import Engine, MetaData

    from settings.boot.lifecycle import Lifecycle
    from settings.boot.names import ProcessName
    from settings.cache.backend import ResilientCache
    from settings.database.alerts import Alerts
    from settings.database.claims import Claims
    from settings.database.manager import DatabaseManager
    from settings.database.migrations import MigrationManager
    from settings.database.retention import Retention
    from settings.database.snapshots import Snapshots
    from settings.logs.limiter import ErrorRateLimiter
    from settings.logs.sink import Logs
    from settings.status.routes import Installed
    from settings.websocket.client import WebSocketClient
    from settings.workers.context import ApplicationContextManager
    from settings.workers.health import ServiceHealthManager
    from settings.workers.performance import PerformanceMonitor
    from settings.workers.scheduler import Workers
    from settings.workers.tasks import Task

F = TypeVar("F", bound=Callable[..., Any])


class Services:
    """The parts of one application, as `bootstrap(app)` made them; also at `app.extensions["bootstrap"]`.

    Attributes:
        app: The Flask application.
        settings: All settings, validated.
        report: What each step of the boot chose and why.
        logs: Levels at run time, repeated errors.
        database: The engine's manager: sessions, ping, reconnect.
        migrations: The schema's manager.
        cache: A `flask_caching.Cache` that outlives its Redis.
        websocket: The outbound gateway.
        context: Application contexts for work outside a request.
        workers: Periodic jobs and tasks.
        health: How each service is.
        alerts: The rows of `performance_alerts`: list, acknowledge, resolve.
        performance: Latency and errors by endpoint.
        celery: The Celery application with WORKERS_ENGINE=celery, else None.
    """

    logs: "Logs"
    database: "DatabaseManager"
    migrations: "MigrationManager"
    cache: "ResilientCache"
    websocket: "WebSocketClient"
    context: "ApplicationContextManager"
    workers: "Workers"
    health: "ServiceHealthManager"
    alerts: "Alerts"
    claims: "Claims"
    retention: "Retention"
    snapshots: "Snapshots"
    performance: "PerformanceMonitor"
    lifecycle: "Lifecycle"
    status: "Installed"
    process_name: "ProcessName"
    celery: "Celery | None" = None

    def __init__(self, app: Flask, closers: Closers, report: BootReport) -> None:
        self.app, self.report = app, report
        self.settings: Settings
        self._closers = closers

    @property
    def engine(self) -> "Engine":
        """The SQLAlchemy engine in use, also after a reconnect."""
        return self.database.engine

    @property
    def errors(self) -> "ErrorRateLimiter":
        """Decides which repeated errors are logged, and counts the rest."""
        return self.logs.limiter

    @overload
    def worker(self, function: F, /, **options: Any) -> F: ...
    @overload
    def worker(self, function: None = None, /, **options: Any) -> Callable[[F], F]: ...
    def worker(self, function: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
        """Register a periodic job that has its application context: `@services.worker(every=30.0)`.

        Args:
            function: The job, where this is not used as a decorator.
            options: `every` (30.0 by default) or `cron`, `name`, `once`, `timeout`, `jitter`, `first`, as for
                `Workers.worker`.
        """
        return self.workers.worker(function, **options)

    @overload
    def task(self, function: Callable[..., Any], /, **options: Any) -> "Task": ...
    @overload
    def task(self, function: None = None, /, **options: Any) -> "Callable[[Callable[..., Any]], Task]": ...
    def task(
        self, function: Callable[..., Any] | None = None, /, **options: Any
    ) -> "Task | Callable[[Callable[..., Any]], Task]":
        """Register a function that is called on demand: `.delay(…)` runs it in the background.

        Args:
            function: The task, where this is not used as a decorator.
            options: `name` and `timeout`, as for `Workers.task`.
        """
        return self.workers.task(function, **options)

    def retain(self, table: str, *, days: int, column: str = "created_at") -> None:
        """Let the cleanup delete rows of a table of the application's whose `column` is older than `days` days."""
        self.retention.add(table, days=days, column=column)

    def start(self) -> None:
        """Start the background work of this process, whatever was found out about it; does nothing when it runs."""
        self.lifecycle.start()

    def close(self) -> None:
        """Stop everything in the reverse order of the boot; once or many times, from any thread."""
        self.lifecycle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Boot:
    """A boot under way: the services so far, and what the caller asked for.

    Args:
        app: The application.
        wishes: The arguments of `bootstrap()`: settings, metadata, migrations, start.
        command: The flask command that runs, if any.
    """

    def __init__(
        self,
        app: Flask,
        *,
        settings: object,
        metadata: "MetaData | None",
        migrations: Path | str | None,
        start: bool | None,
        command: str | None,
    ) -> None:
        self.app, self.wanted_settings, self.start, self.command = app, settings, start, command
        self.metadata, self.migrations = metadata, migrations
        self.closers, self.report = Closers(), BootReport()
        self.services = Services(app, self.closers, self.report)

    @property
    def settings(self) -> Settings:
        """The settings that the first step loaded."""
        return self.services.settings
