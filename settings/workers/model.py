"""WORKERS_: background jobs, where they run and how often."""

from collections.abc import Mapping
from importlib.machinery import PathFinder
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.room import RoomSettings, wrong
from settings.urls import Scheme, check_redis_database, checked_parts, text_of

_AMQP = "amqp://user:<password>@host:5672//"
BROKER = Scheme(
    ("redis", "amqp", "rediss", "amqps", "pyamqp", "redis+socket", "unix", "sqs", "memory", "filesystem", "mongodb",
     "sqla+sqlite", "sqla+postgresql", "azureservicebus", "azurestoragequeues", "gcpubsub", "confluentkafka", "consul",
     "etcd", "zookeeper"),
    "redis://host:6379/0",
    instead=MappingProxyType({"rabbitmq": "amqp", "http": "amqp", "https": "amqps", "tcp": "redis"}),
    refused=MappingProxyType({"sentinel": "Redis Sentinel", "redis+sentinel": "Redis Sentinel"}),
    hostless=frozenset({"redis+socket", "unix", "sqs", "memory", "filesystem", "sqla+sqlite", "azurestoragequeues"}),
    examples=MappingProxyType(dict.fromkeys(("amqp", "amqps", "pyamqp"), _AMQP)),
    file_example="redis+socket:///run/redis/redis.sock",
)  # fmt: skip


class WorkersSettings(RoomSettings):
    """Background jobs."""

    model_config = SettingsConfigDict(env_prefix="WORKERS_")
    derived: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({"broker_url": ("REDIS_URL", "{}")})

    enabled: bool = Field(default=True, description="false: none is started")
    engine: Literal["thread", "celery"] = Field(
        "thread", description="thread: in this process; celery: on Celery workers"
    )
    broker_url: SecretStr | None = Field(
        None, description="Celery's broker", examples=["amqp://app:password@broker.example.com:5672//"]
    )
    health_interval: float = Field(30, gt=0, le=86400, description="seconds between health checks")
    performance_interval: float = Field(60, gt=0, le=86400, description="seconds between looks at the latencies")
    cleanup_interval: float = Field(3600, gt=0, le=604800, description="seconds between cleanups")
    grace: float = Field(10, ge=0, le=3600, description="seconds that running jobs may go on at the end")
    alert_retention_days: int = Field(30, ge=1, le=36500, description="days that resolved alerts are kept")
    latency_threshold_ms: float = Field(
        1000,
        gt=0,
        le=3600000,
        description="a p95 in milliseconds above it, of 20 calls or more in an interval, raises an alert",
    )
    error_rate_threshold: float = Field(
        0.05, gt=0, le=1, description="a share of 5xx above it, of 20 calls or more, raises an alert"
    )

    @field_validator("engine")
    @classmethod
    def _engine(cls, value: str) -> str:
        if value == "celery" and PathFinder.find_spec("celery") is None:
            fix = "pip install 'flask-twelvefactor[celery]', or WORKERS_ENGINE=thread"
            raise wrong("celery-not-installed", "celery is not installed here", fix)
        return value

    @field_validator("broker_url", mode="before")
    @classmethod
    def _broker_url(cls, value: object) -> object:
        if value is not None:
            parts = checked_parts(text_of(value), BROKER)
            if parts.scheme in ("redis", "rediss"):  # kombu takes several, with semicolons between
                check_redis_database(parts.path.partition(";")[0].strip("/"), BROKER.example)
            elif parts.scheme in ("unix", "redis+socket") and (parts.host or not parts.path.strip("/")):
                message = "it names no absolute path of a socket"
                raise wrong("invalid-path", message, f"write three slashes: {BROKER.file_example}")
        return value

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Tests start no worker unless they ask for it."""
        return {"enabled": False} if environment == "testing" else {}
