"""REDIS_ and CACHE_: the shared cache and the one in this process."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.room import RoomSettings, wrong
from settings.urls import checked_url

_EXAMPLE = "redis://host:6379/0"
_ONE_SERVER = f"name one server, or a proxy that follows the primary: {_EXAMPLE}"


class RedisSettings(RoomSettings):
    """The Redis that the cache uses, if any."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: SecretStr | None = Field(
        None,
        description="redis://, rediss:// or unix:// URL; none: in-process cache",
        examples=["redis://cache.example.com:6379/0"],
    )
    connect_timeout: float = Field(0.5, gt=0, le=60, description="seconds to connect")
    timeout: float = Field(0.5, gt=0, le=60, description="seconds for one command")
    max_connections: int = Field(50, ge=1, le=10000, description="size of the pool")

    @field_validator("url", mode="before")
    @classmethod
    def _url(cls, value: object) -> SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
        scheme, _, rest = text.partition("://")
        _check_topology(scheme.lower(), rest)
        if scheme.lower() == "unix" and not rest.partition("?")[0].rpartition("@")[2].strip("/"):
            raise wrong("missing-path", "it names no socket", "write it like unix:///run/redis/redis.sock?db=0")
        return checked_url(value, ("redis", "rediss", "unix"), example=_EXAMPLE)


class CacheSettings(RoomSettings):
    """What is cached, and for how long."""

    model_config = SettingsConfigDict(env_prefix="CACHE_")

    default_timeout: float = Field(300, ge=0, le=31536000, description="seconds an entry lives unless told otherwise")
    key_prefix: str = Field(
        "app:", min_length=1, max_length=200, description="in front of every key; <APP_NAME>: by default"
    )
    threshold: int = Field(10000, ge=1, le=10000000, description="entries kept by the in-process cache")
    retry_after: float = Field(
        15, gt=0, le=86400, description="seconds after a Redis failure until one probe tries it again"
    )


def _check_topology(scheme: str, rest: str) -> None:
    for word, name in (("sentinel", "Redis Sentinel"), ("cluster", "Redis Cluster")):
        if word in scheme:
            raise wrong(f"redis-{word}-url", f"it is a URL of {name}, which is not supported", _ONE_SERVER)
    if scheme in ("redis", "rediss") and "," in rest.partition("/")[0].rpartition("@")[2]:
        message = "it names several hosts, as for Redis Sentinel or Redis Cluster, and neither is supported"
        raise wrong("several-hosts", message, _ONE_SERVER)
