"""STATUS_: who may see the status page, and where it is."""

import re
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.room import RoomSettings, checked_token, wrong


class StatusSettings(RoomSettings):
    """The routes for machines and people."""

    model_config = SettingsConfigDict(env_prefix="STATUS_")

    prefix: str = Field(
        "", description="in front of /livez, /readyz, /healthz, /metrics and /status", examples=["/ops"]
    )
    page: bool = Field(
        default=False, description="serve /status, /metrics and details without a token, to this machine only"
    )
    token: SecretStr | None = Field(
        None, description="with it, Authorization: Bearer opens them from anywhere", examples=["<token>"]
    )

    @field_validator("prefix")
    @classmethod
    def _path(cls, value: str) -> str:
        # Clients take . and .. out of a path before they ask for it.
        if value and not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", value):
            raise wrong(
                "invalid-path", "it is not empty, and not a path such as /ops", "write it like STATUS_PREFIX=/ops"
            )
        return value

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        return checked_token(value)

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """The page is open in development."""
        return {"page": environment == "development"}
