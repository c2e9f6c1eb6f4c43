"""DATABASE_: the database, its fallback, its pool and its migrations."""

from types import MappingProxyType
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.database.url import DatabaseURLParser
from settings.problems import MASK, mask_url
from settings.room import RoomSettings, wrong
from settings.urls import Scheme, check_behind_the_host, check_scheme, text_of

Seconds = float


_INSTEAD = MappingProxyType({"postgre": "postgresql", "pgsql": "postgresql", "psql": "postgresql", "pg": "postgresql",
                             "postgis": "postgresql", "sqlite3": "sqlite", "file": "sqlite"})  # fmt: skip
_REFUSED = MappingProxyType({"mysql": "MySQL", "mariadb": "MariaDB", "mssql": "SQL Server", "oracle": "Oracle",
                             "mongodb": "MongoDB", "mongodb+srv": "MongoDB", "cockroachdb": "CockroachDB"})  # fmt: skip
_FILES = "sqlite:///app.db, or with four slashes sqlite:////srv/app.db, or sqlite:///:memory:"
DATABASE = Scheme(
    ("postgresql", "sqlite", "postgres", "postgresql+psycopg2", "postgres+psycopg2", "sqlite+pysqlite"),
    "postgresql://user:<password>@host:5432/database or sqlite:///app.db",
    instead=_INSTEAD,
    refused=_REFUSED,
    file_example=_FILES,
)
FALLBACK = Scheme(
    ("sqlite", "sqlite+pysqlite"),
    "sqlite:///fallback.db",
    instead=_INSTEAD,
    refused=MappingProxyType({**_REFUSED, **dict.fromkeys(("postgresql", "postgres"), "a fallback on PostgreSQL")}),
    file_example=_FILES,
)


def _normalised(value: object, scheme: Scheme) -> SecretStr | None:
    if value is None:
        return None
    text = text_of(value)
    if not check_scheme(text, scheme).startswith("sqlite"):
        check_behind_the_host(text)
    config = DatabaseURLParser.parse_url(text)
    if config.code == "unknown-option" and mask_url(text).endswith(MASK):
        # Its name may be the rest of a password that was not encoded.
        raise wrong(
            config.code, "an option of the URL is not known", "in a password write & as %26; see libpq's options"
        )
    if not config.is_valid:
        raise wrong(config.code, config.error_message, config.fix)
    return SecretStr(config.connection_string)


class DatabaseSettings(RoomSettings):
    """The database that the service uses."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    url: SecretStr | None = Field(
        SecretStr("sqlite:///app.db"),
        description="PostgreSQL or SQLite, required in staging and production; a relative SQLite path counts from the "
        "working directory",
        examples=["postgresql://app:password@db.example.com:5432/app"],
    )
    fallback_url: SecretStr | None = Field(
        None,
        description="SQLite URL used, aloud, when DATABASE_URL cannot be; none: the boot stops with a diagnosis",
        examples=["sqlite:///fallback.db"],
    )
    pool_size: int = Field(5, ge=1, le=1000, description="connections kept")
    max_overflow: int = Field(10, ge=0, le=1000, description="connections above the pool's size")
    pool_timeout: Seconds = Field(10, ge=0, le=3600, description="seconds to wait for a pooled connection")
    pool_recycle: Seconds = Field(1800, ge=1, le=604800, description="age in seconds at which a connection is replaced")
    connect_timeout: Seconds = Field(5, gt=0, le=3600, description="seconds for one attempt to connect")
    wait: Seconds = Field(
        3, ge=0, le=3600, description="seconds the boot goes on trying a fault that can pass by itself"
    )
    statement_timeout: Seconds = Field(
        0, ge=0, le=86400, description="PostgreSQL's statement_timeout in seconds; 0: none"
    )
    timeout: Seconds = Field(
        0, ge=0, le=86400, description="the client's own deadline for a statement in seconds; 0: none"
    )
    echo: bool = Field(default=False, description="log SQL")
    migrate: bool = Field(default=True, description="run migrations in bootstrap()")
    migrate_wait: Seconds = Field(60, ge=0, le=86400, description="seconds to wait for another process that migrates")

    @field_validator("url", mode="before")
    @classmethod
    def _url(cls, value: object) -> SecretStr | None:
        return _normalised(value, DATABASE)

    @field_validator("fallback_url", mode="before")
    @classmethod
    def _fallback_url(cls, value: object) -> SecretStr | None:
        return _normalised(value, FALLBACK)

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Development and testing have a fallback; staging and production wait longer and need a URL."""
        if environment in ("staging", "production"):
            return {"wait": 30.0, "url": None}
        url = "sqlite:///:memory:" if environment == "testing" else "sqlite:///app.db"
        return {"url": url, "fallback_url": "sqlite:///fallback.db"}
