"""All settings of a process: APP_ and one model per room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.cache.model import CacheSettings, RedisSettings
from settings.database.model import DatabaseSettings
from settings.explain import secrets_in
from settings.logs.model import LogsSettings
from settings.problems import Diagnosis, Problem
from settings.room import RoomSettings, wrong
from settings.status.model import StatusSettings
from settings.websocket.model import WebSocketSettings
from settings.workers.model import WorkersSettings

M = TypeVar("M", bound=RoomSettings)
Environment = Literal["development", "testing", "staging", "production"]


class AppSettings(RoomSettings):
    """The application itself."""

    model_config = SettingsConfigDict(env_prefix="APP_")

    env: Environment = Field(
        "development", description="picks the .env.<APP_ENV> overlay and the defaults below", examples=["production"]
    )
    name: str = Field("app", min_length=1, max_length=63, description="names the application in logs, keys and claims")
    secret_key: SecretStr | None = Field(
        None,
        description='signs sessions and cookies, as app.config["SECRET_KEY"]; make one with openssl rand -hex 32',
        examples=["<64 random hex digits>"],
    )
    proxy_hops: int = Field(0, ge=0, le=20, description="trusted reverse proxies in front (X-Forwarded-…)")
    settings: str = Field(
        "",
        description="the application's own settings models, as module:Class with commas between",
        examples=["billing.settings:BillingSettings"],
    )
    strict: bool = Field(
        default=False,
        description="true: any invalid value stops the boot; false: an invalid DATABASE_URL, REDIS_URL or WS_URL is "
        "reported once and its fallback is used",
    )

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not value.isprintable():
            # It goes into names at the database's and the broker's, which take no such character.
            raise wrong("invalid-character", "it holds a character that cannot be seen", "set APP_NAME to a plain word")
        return value

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Staging and production forgive nothing."""
        return {"strict": environment in ("staging", "production")}


ROOMS: Mapping[str, type[RoomSettings]] = MappingProxyType(
    {
        "app": AppSettings,
        "database": DatabaseSettings,
        "redis": RedisSettings,
        "cache": CacheSettings,
        "websocket": WebSocketSettings,
        "workers": WorkersSettings,
        "logs": LogsSettings,
        "status": StatusSettings,
    }
)
"""Attribute of `Settings` and model, in the order of every report."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Validated settings, one attribute a room, and what there is to say about them.

    Attributes:
        problems: Warnings, notices and tolerated errors, in the order of the report.
        origins: Variable and where its value came from; a variable that is not set is missing.
        own: The application's own models by attribute name; also readable as attributes.
    """

    app: AppSettings
    database: DatabaseSettings
    redis: RedisSettings
    cache: CacheSettings
    websocket: WebSocketSettings
    workers: WorkersSettings
    logs: LogsSettings
    status: StatusSettings
    problems: tuple[Problem, ...] = ()
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    own: Mapping[str, RoomSettings] = field(default_factory=lambda: MappingProxyType({}))

    def __getattr__(self, name: str) -> RoomSettings:
        if name.startswith("_") or name not in self.own:
            raise AttributeError(f"no settings named {name!r}; the application's own are {sorted(self.own)}")
        return self.own[name]

    def of(self, model: type[M]) -> M:
        """Return the application's own settings of a model, with its type: `settings.of(BillingSettings).currency`.

        Raises:
            KeyError: No such model was loaded.
        """
        found = next((each for each in self.own.values() if isinstance(each, model)), None)
        if found is None:
            raise KeyError(f"{model.__name__} was not loaded: name it in APP_SETTINGS, or pass it to bootstrap()")
        return found

    def origin(self, variable: str) -> str:
        """Return where a variable's value came from: `environment`, `.env:3`, `NAME_FILE=/path` or `default`."""
        return self.origins.get(variable, "default")

    def refused(self, variable: str) -> Diagnosis | None:
        """Return what is wrong with a variable whose fallback is used for that, or None when nothing is."""
        found = next((each for each in self.problems if each.variable == variable and each.severity == "error"), None)
        return None if found is None else Diagnosis(found.code, found.message, found.fix)

    @property
    def rooms(self) -> Mapping[str, RoomSettings]:
        """Every model by its attribute, ours first."""
        return {**{name: getattr(self, name) for name in ROOMS}, **self.own}

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that must not be shown: secret values, and the passwords of URLs."""
        fields = [
            (name, info, getattr(model, name))
            for model in self.rooms.values()
            for name, info in type(model).model_fields.items()
        ]
        return frozenset(each for name, info, value in fields for each in secrets_in(name, info, value) if each)
