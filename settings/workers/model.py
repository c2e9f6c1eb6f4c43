"""WORKERS_: background jobs, where they run and how often."""

from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from settings.room import RoomSettings


class WorkersSettings(RoomSettings):
    """Background jobs."""

    model_config = SettingsConfigDict(env_prefix="WORKERS_")

    enabled: bool = Field(default=True, description="false: none is started")
    engine: Literal["thread", "celery"] = Field(
        "thread", description="thread: in this process; celery: on Celery workers"
    )
    broker_url: SecretStr | None = Field(None, description="Celery's broker; REDIS_URL by default")
    health_interval: float = Field(30, gt=0, le=86400, description="seconds between health checks")
    performance_interval: float = Field(60, gt=0, le=86400, description="seconds between looks at the latencies")
    cleanup_interval: float = Field(3600, gt=0, le=604800, description="seconds between cleanups")
    grace: float = Field(10, ge=0, le=3600, description="seconds that running jobs may go on at the end")
    alert_retention_days: int = Field(30, ge=1, le=36500, description="days that resolved alerts are kept")
    latency_threshold_ms: float = Field(
        1000, gt=0, le=3600000, description="a p95 in milliseconds above it raises an alert"
    )
    error_rate_threshold: float = Field(0.05, gt=0, le=1, description="a share of 5xx above it raises an alert")

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Tests start no worker unless they ask for it."""
        return {"enabled": False} if environment == "testing" else {}
