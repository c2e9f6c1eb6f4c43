"""LOG_: levels, format, destinations and the limits of repetition."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from settings.explain import innocent
from settings.room import RoomSettings, wrong

Level = Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"]
LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")


def _checked_pairs(pairs: Mapping[str, object]) -> dict[str, str]:
    found = {name: str(level).upper() for name, level in pairs.items()}
    if bad := [name for name, level in found.items() if not name or level not in LEVELS]:
        which = f": that of {innocent(bad[0])}" if innocent(bad[0]) != "the value" else ""
        fix = f"write sqlalchemy.engine=INFO,werkzeug=WARNING; there are {', '.join(LEVELS)}"
        raise wrong("invalid-levels", f"a pair is not name=LEVEL{which}", fix)
    return found


def _pairs(text: str) -> dict[str, str]:
    parts = [each.partition("=") for each in text.split(",") if each.strip()]
    return {name.strip(): level.strip() for name, _, level in parts}


class LogsSettings(RoomSettings):
    """What is logged, where, and how often the same."""

    model_config = SettingsConfigDict(env_prefix="LOG_")

    level: Level = Field("INFO", description="lowest level that is shown")
    levels: Annotated[Mapping[str, str], NoDecode] = Field(
        default_factory=dict,
        description="levels of single loggers",
        examples=["sqlalchemy.engine=INFO,werkzeug=WARNING"],
    )
    limit_level: Level = Field(
        "WARNING", description="repeated records from this level up are limited; CRITICAL never is"
    )
    format: Literal["text", "json"] = Field("text", description="text for people, json one object a line")
    file: Path | None = Field(None, description="also to this file; reopened when logrotate has moved it")
    errors_per_minute: int = Field(
        5, ge=0, le=1000000, description="how many of the same error pass each minute; 0: all"
    )
    summary_interval: float = Field(60, gt=0, le=86400, description="seconds between summaries of what was held back")
    max_fingerprints: int = Field(10000, ge=1, le=10000000, description="distinct errors remembered")

    @field_validator("level", "limit_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        # A word that is no level stays as it was written, and is told so.
        return value.upper() if isinstance(value, str) and value.upper() in LEVELS else value

    @field_validator("levels", mode="before")
    @classmethod
    def _levels(cls, value: object) -> object:
        pairs = _pairs(value) if isinstance(value, str) else value
        return _checked_pairs(pairs) if isinstance(pairs, Mapping) else value

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """More words in development, machine-readable ones where a machine collects them."""
        level = "DEBUG" if environment == "development" else "INFO"
        return {"level": level, "format": "json" if environment in ("staging", "production") else "text"}
