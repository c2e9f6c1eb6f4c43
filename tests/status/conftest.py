"""An application with the status routes and sources that a test can change at will."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from flask import Flask
from pydantic import SecretStr

from settings.probe import Fact, HealthStatus
from settings.status.model import StatusSettings
from settings.status.routes import install_status
from settings.status.rows import Snapshot
from settings.status.sources import StatusSources

TOKEN = "correct horse battery staple"
SINCE = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class FakeService:
    """A service in the shape of ServiceHealth."""

    name: str
    status: HealthStatus = HealthStatus.HEALTHY
    since: datetime = SINCE
    checked_at: datetime | None = SINCE
    latency_ms: float | None = 1.5
    detail: str = ""
    code: str = ""
    cause: str = ""
    fix: str = ""
    critical: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)
    latencies: tuple[float, ...] = (1.0, 2.0, 1.5)


@dataclass(frozen=True)
class FakeJob:
    """A job in the shape of JobStatus."""

    name: str
    schedule: str = "every 30 s"
    once: bool = False
    state: str = "idle"
    runs: int = 3
    failures: int = 0
    last_started: datetime | None = SINCE
    last_duration_seconds: float | None = 0.012
    last_outcome: str = "ok"
    last_error: str = ""
    next_run: datetime | None = None
    owner: str = ""
    detail: str = ""


@dataclass(frozen=True)
class FakeError:
    """An error in the shape of the log room's."""

    fingerprint: str
    seen: int = 12
    suppressed: int = 7
    first_seen: float = SINCE.timestamp()
    last_seen: float = SINCE.timestamp() + 60
    example: str = "ValueError: no such order 7"


class FakeAlerts:
    """Alerts in the shape of `services.alerts`, held in a list; `broken` lets every call raise it."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.broken: Exception | None = None
        self.hold: threading.Event | None = None
        self.asked = 0

    def add(self, **columns: object) -> None:
        """Add an alert with these columns."""
        number = len(self.rows) + 1
        base = {"id": number, "alert_type": "latency", "severity": "high", "title": "slow", "status": "active",
                "first_occurrence": SINCE, "last_occurrence": SINCE}  # fmt: skip
        self.rows.append({**base, **columns})

    def list(self, status: str | None = None, limit: int = 100) -> "list[dict[str, object]]":
        """Return the rows of a status."""
        self.asked += 1
        if self.hold is not None:
            self.hold.wait(30)
        if self.broken is not None:
            raise self.broken
        return [row for row in self.rows if status in (None, row["status"])][:limit]

    def acknowledge(self, alert_id: int, /, by: str) -> bool:
        """Note who looks after it; False when somebody does."""
        return self._change(alert_id, "active", status="acknowledged", acknowledged_by=by, acknowledged_at=SINCE)

    def resolve(self, alert_id: int, /) -> bool:
        """Note that it is over; False when it was."""
        return self._change(alert_id, "active", "acknowledged", status="resolved")

    def _change(self, number: int, *before: str, **columns: object) -> bool:
        if self.hold is not None:
            self.hold.wait(30)
        if self.broken is not None:
            raise self.broken
        row = self.rows[number - 1]
        changes = row["status"] in before
        row.update(columns if changes else {})
        return changes


@dataclass(frozen=True)
class FakeSnapshot:
    """A snapshot in the shape of the database room's."""

    process: str
    host: str = "web-2"
    pid: int = 7
    written_at: datetime = SINCE
    body: Mapping[str, object] = field(default_factory=dict)


def snapshot(name: str, **body: object) -> Snapshot:
    """Return a snapshot of a process."""
    return Snapshot(name, "web-2", 7, SINCE.timestamp(), json.loads(json.dumps(body)))


class World:
    """What the sources of a test say; a test changes it between two requests."""

    def __init__(self) -> None:
        rows = [FakeService("database", critical=True), FakeService("migrations", critical=True), FakeService("cache")]
        self.services = {each.name: each for each in rows}
        self.closing = False
        self.jobs: list[FakeJob] = []
        self.errors: list[FakeError] = []
        self.alerts = FakeAlerts()
        self.history: list[dict[str, object]] = []
        self.snapshots: list[FakeSnapshot] = []
        self.boot: list[object] = []
        self.settings: list[tuple[str, str, str, str]] = []

    def change(self, name: str, **changes: object) -> None:
        """Change a service."""
        self.services[name] = replace(self.services[name], **changes)  # type: ignore[arg-type] # a test may put anything there

    def sources(self, environment: str = "development") -> StatusSources:
        """Return sources that read this world."""
        return StatusSources(
            app_name="shop",
            environment=environment,
            services=lambda: self.services,
            shutting_down=lambda: self.closing,
            jobs=lambda: self.jobs,
            repeated_errors=lambda limit: self.errors[:limit],
            error_figures=lambda: {"seen": sum(each.seen for each in self.errors)},
            alerts=self.alerts,
            run_history=lambda: self.history,
            snapshots=lambda _age: self.snapshots,
            boot=self.boot,
            settings=lambda: self.settings,
            process=lambda: "web-1:1",
            started_at=lambda: SINCE.timestamp(),
        )


@pytest.fixture
def world() -> World:
    """A world in which all is well."""
    return World()


MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(world: World) -> MakeApp:
    """Make an application with the status routes: `make_app(page=True, token=…, prefix=…, environment=…)`."""

    def make(
        *,
        environment: str = "development",
        page: bool = True,
        token: str | None = None,
        prefix: str = "",
        app: Flask | None = None,
    ) -> Flask:
        app = app or Flask("shop")
        secret = None if token is None else SecretStr(token)
        install_status(app, StatusSettings(prefix=prefix, page=page, token=secret), world.sources(environment))
        return app

    return make
