"""REDIS_ and CACHE_: the shared cache and the one in this process."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.room import RoomSettings
from settings.urls import checked_url


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
        return checked_url(value, ("redis", "rediss", "unix"), example="redis://host:6379/0")


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
