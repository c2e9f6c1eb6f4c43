"""What every room's settings model shares: one prefix, frozen, bounded, and errors that carry their fix."""

from typing import Any

from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


def wrong(code: str, message: str, fix: str) -> PydanticCustomError:
    """Return the error that a validator raises: stable code, what is wrong (masked), and what to do."""
    return PydanticCustomError(code, "{message}", {"message": message, "fix": fix})


class RoomSettings(BaseSettings):
    """Settings of one room: `env_prefix` and a field's name make the variable (`WS_` and `url`: `WS_URL`).

    A model is built from the values it is given and reads no environment itself: `load_settings` knows the
    sources and their order, and says of each value where it came from.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, allow_inf_nan=False
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the given values only."""
        return (init_settings,)

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the environment variable of a field."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Return the defaults that differ in an environment (development, testing, staging, production)."""
        del environment  # most rooms have the same defaults everywhere
        return {}
