"""WS_: the outbound real-time gateway."""

from types import MappingProxyType
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from settings.room import RoomSettings, checked_token, wrong
from settings.urls import Scheme, checked_parts, text_of

GATEWAY = Scheme(
    ("wss", "ws"),
    "wss://gateway.example.com/events",
    instead=MappingProxyType({"http": "ws", "https": "wss", "tcp": "ws", "tls": "wss"}),
)


class WebSocketSettings(RoomSettings):
    """The gateway, and how often it is tried."""

    model_config = SettingsConfigDict(env_prefix="WS_")

    url: SecretStr | None = Field(
        None,
        description="ws:// or wss:// URL of the outbound gateway; none: disabled",
        examples=["wss://gateway.example.com/events"],
    )
    enabled: bool = Field(default=True, description="false: no connection is ever attempted")
    max_retries: int = Field(5, ge=0, le=1000, description="attempts after the first before giving up")
    retry_delay: float = Field(1, gt=0, le=3600, description="ceiling of the first pause in seconds, doubled each time")
    retry_max_delay: float = Field(30, gt=0, le=86400, description="ceiling of every pause in seconds")
    cooldown: float = Field(300, ge=0, le=604800, description="seconds between quiet probes after giving up; 0: never")
    connect_timeout: float = Field(5, gt=0, le=300, description="seconds to connect")
    ping_interval: float = Field(20, gt=0, le=3600, description="seconds between pings")
    ping_timeout: float = Field(20, gt=0, le=3600, description="seconds to wait for a pong")
    queue_size: int = Field(1000, ge=1, le=1000000, description="events held while not connected; then the oldest goes")
    token: SecretStr | None = Field(None, description="sent as Authorization: Bearer", examples=["<token>"])

    @field_validator("url", mode="before")
    @classmethod
    def _url(cls, value: object) -> object:
        if value is not None:
            checked_parts(text_of(value), GATEWAY)
        return value

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and any(each > "\xff" for each in value.get_secret_value()):
            message = "it holds a letter beyond Latin-1, which no header can carry"
            raise wrong("invalid-character", message, "ask the gateway for a token of plain ASCII")
        return checked_token(value)

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Tests connect nowhere unless they ask for it."""
        return {"enabled": False} if environment == "testing" else {}
