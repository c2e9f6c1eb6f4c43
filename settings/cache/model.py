"""REDIS_ and CACHE_: the shared cache and the one in this process."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import parse_qs

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.cache.url_options import check_options
from settings.room import RoomSettings, wrong
from settings.urls import Scheme, check_redis_database, checked_parts, text_of

_SOCKET = "unix:///run/redis/redis.sock?db=0"
SENTINEL, CLUSTER = "Redis Sentinel", "Redis Cluster"
REDIS = Scheme(
    ("redis", "rediss", "unix"),
    "redis://host:6379/0",
    instead=MappingProxyType(
        {"tcp": "redis", "http": "redis", "https": "rediss", "tls": "rediss", "ssl": "rediss", "valkey": "redis",
         "valkeys": "rediss", "redis+tls": "rediss", "redis+ssl": "rediss", "redis+unix": "unix",
         "redis+socket": "unix", "redis-socket": "unix"}
    ),
    refused=MappingProxyType(
        {name: kind for kind, word in ((SENTINEL, "sentinel"), (CLUSTER, "cluster"))
         for name in (word, f"redis+{word}", f"rediss+{word}", f"redis-{word}", f"rediss-{word}")}
    ),
    hostless=frozenset({"unix"}),
    file_example=_SOCKET,
)  # fmt: skip


def checked_redis(text: str) -> None:
    """Return when redis-py opens what the URL seems to say.

    Raises:
        PydanticCustomError: As `checked_parts`, and with the code `invalid-path`, `invalid-database`,
            `unknown-option` or `invalid-option`.
    """
    parts = checked_parts(text, REDIS)
    if parts.scheme != "unix":
        check_redis_database(parts.path.strip("/"), REDIS.example)
    elif parts.host or not parts.path.strip("/"):
        message = "it names no absolute path of a socket"
        raise wrong("invalid-path", message, f"write three slashes: {_SOCKET}")
    for database in parse_qs(parts.query).get("db", []):  # which redis-py prefers to the path's
        check_redis_database(database, _SOCKET if parts.scheme == "unix" else REDIS.example)
    check_options(parts.scheme, parts.query)


class RedisSettings(RoomSettings):
    """The Redis that the cache uses, if any."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: SecretStr | None = Field(
        None,
        description="redis://, rediss:// or unix:// URL; none: the cache lives in each process",
        examples=["redis://:password@cache.example.com:6379/0"],
    )
    connect_timeout: float = Field(0.5, gt=0, le=60, description="seconds to connect")
    timeout: float = Field(0.5, gt=0, le=60, description="seconds for one command")
    max_connections: int = Field(50, ge=1, le=10000, description="size of the pool")

    @field_validator("url", mode="before")
    @classmethod
    def _url(cls, value: object) -> object:
        if value is not None:
            checked_redis(text_of(value))
        return value


class CacheSettings(RoomSettings):
    """What is cached, and for how long."""

    model_config = SettingsConfigDict(env_prefix="CACHE_")
    derived: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({"key_prefix": ("APP_NAME", "{}:")})

    default_timeout: float = Field(300, ge=0, le=31536000, description="seconds an entry lives unless told otherwise")
    key_prefix: str = Field(
        "app:", min_length=1, max_length=200, description="in front of every key", examples=["billing:"]
    )
    threshold: int = Field(10000, ge=1, le=10000000, description="entries kept by the in-process cache")
    retry_after: float = Field(
        15, gt=0, le=86400, description="seconds after a Redis failure until one probe tries it again"
    )
