"""The text of `.env.example`, written from the models, and the rows of `show`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from settings.model import ROOMS, Settings
from settings.problems import MASK, mask_urls
from settings.room import RoomSettings

DEPENDS = {"APP_STRICT", "DATABASE_URL", "DATABASE_FALLBACK_URL", "DATABASE_WAIT", "WS_ENABLED", "WORKERS_ENABLED",
           "LOG_LEVEL", "LOG_FORMAT", "STATUS_PAGE", "CACHE_KEY_PREFIX", "WORKERS_BROKER_URL"}  # fmt: skip
"""Variables whose default depends on APP_ENV or on another variable; the example shows development's."""


def shown(value: Any) -> str:
    """Return a setting's value as a person may see it: URLs with their password masked, other secrets as a mask."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return mask_urls(text) if "://" in text else MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    return "" if value is None else str(value)


def rows(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Yield (room, variable, masked value, origin) of every setting."""
    for room, model in settings.rooms.items():
        for field in type(model).model_fields:
            variable = model.variable(field)
            yield room, variable, shown(getattr(model, field)), settings.origin(variable)


def example_text(models: Mapping[str, type[RoomSettings]] = ROOMS) -> str:
    """Return the text of an `.env` in which every line is a comment: copied as it is, the application boots."""
    lines = [
        "# Copy to .env and uncomment what you need. Every variable may also come from NAME_FILE,",
        "# a file that holds the value.",
    ]
    for model in models.values():
        lines += ["", f"# --- {model.model_config.get('env_prefix', '')!s}  {(model.__doc__ or '').splitlines()[0]}"]
        for field, info in model.model_fields.items():
            lines += ["", *_example_lines(model, field, info)]
    return "\n".join(lines) + "\n"


def _example_lines(model: type[RoomSettings], field: str, info: FieldInfo) -> list[str]:
    variable = model.variable(field)
    default = shown(model.defaults_in("development").get(field, info.get_default(call_default_factory=True)))
    notes = [f"# {info.description}.", f"# {_kind(info)}; default: {default or 'none'}"]
    if variable in DEPENDS:
        notes[-1] += " (depends on APP_ENV or another variable)"
    return [*notes, f"#{variable}={(info.examples or [default])[0]}"]


def _kind(info: FieldInfo) -> str:
    choices = [str(each) for each in get_args(info.annotation) if isinstance(each, str)]
    names: dict[Any, str] = {int: "whole number", float: "number", bool: "true or false", Path | None: "path"}
    bounds = [
        f"{word} {value:g}"
        for word, name in (("at least", "ge"), ("above", "gt"), ("at most", "le"))
        for value in (getattr(each, name, None) for each in info.metadata)
        if isinstance(value, (int, float))
    ]
    kind = " or ".join(choices) if choices else names.get(info.annotation, "text")
    return ", ".join([kind, *bounds])
