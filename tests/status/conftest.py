"""An application with the status routes and sources that a test can change at will."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from flask import Flask
from pydantic import SecretStr

from settings.probe import Fact, HealthStatus
from settings.status.model import StatusSettings
from settings.status.routes import install_status
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


class World:
    """What the sources of a test say; a test changes it between two requests."""

    def __init__(self) -> None:
        rows = [FakeService("database", critical=True), FakeService("migrations", critical=True), FakeService("cache")]
        self.services = {each.name: each for each in rows}
        self.closing = False

    def change(self, name: str, **changes: object) -> None:
        """Change a service."""
        self.services[name] = replace(self.services[name], **changes)  # type: ignore[arg-type] # a test may put anything there

    def sources(self, environment: str = "development") -> StatusSources:
        """Return sources that read this world."""
        return StatusSources(
            app_name="shop", environment=environment, services=lambda: self.services, shutting_down=lambda: self.closing
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
