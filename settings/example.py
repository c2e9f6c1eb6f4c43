"""The text of `.env.example`, written from the models, and the rows of `show`."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic.fields import FieldInfo

from settings.explain import shown
from settings.fields import is_secret, is_url, kind_of
from settings.model import ROOMS, Settings
from settings.room import RoomSettings
from settings.sources import ENVIRONMENTS

__all__ = ["Row", "default_text", "example_text", "rows", "rows_of", "shown"]
WIDTH = 100
_HEAD = """\
Copy this file to .env and take the # from the lines that you need: as it is, nothing is set, and the
application boots with its defaults.

A value is taken from the environment, else from the file that NAME_FILE names (for container secrets), else
from .env.<APP_ENV> such as .env.production, else from .env, else it is the default. Durations are in seconds.
An empty value is not set. `python -m settings check` tells what is wrong, `python -m settings show` what is set."""


class Row(NamedTuple):
    """One setting as `show` lists it; the value is masked."""

    room: str
    variable: str
    value: str
    origin: str


def rows(settings: Settings) -> Iterator[Row]:
    """Yield every setting, its value masked."""
    return rows_of(settings.rooms, settings.origins)


def rows_of(models: Mapping[str, RoomSettings], origins: Mapping[str, str]) -> Iterator[Row]:
    """Yield every setting of these rooms, its value masked."""
    for room, model in models.items():
        for field, info in type(model).model_fields.items():
            variable = model.variable(field)
            value = shown(getattr(model, field), secret=is_secret(field, info), url=is_url(field))
            yield Row(room, variable, value, origins.get(variable, "default"))


def default_text(model: type[RoomSettings], field: str) -> str:
    """Return a variable's default in words: one for all environments, or which where."""
    if field in model.derived:
        variable, form = model.derived[field]
        return form.format(f"<{variable}>") if form != "{}" else variable
    info = model.model_fields[field]
    if info.is_required():
        return "none, it is required"
    usual = info.get_default(call_default_factory=True, validated_data={})
    secret, url = is_secret(field, info), is_url(field)
    values = {
        each: shown(model.defaults_in(each).get(field, usual), secret=secret, url=url) or "none"
        for each in ENVIRONMENTS
    }
    if len(set(values.values())) == 1:
        return values["development"]
    groups: dict[str, list[str]] = {}
    for environment, value in values.items():
        groups.setdefault(value, []).append(environment)
    return "; ".join(f"{value} in {' and '.join(names)}" for value, names in groups.items())


def example_text(models: Mapping[str, type[RoomSettings]] = ROOMS) -> str:
    """Return the text of an `.env` in which every line is a comment: copied as it is, the application boots."""
    blocks = ["\n".join(f"# {line}".rstrip() for line in _HEAD.splitlines())]
    for model in models.values():
        prefix = str(model.model_config.get("env_prefix", ""))
        title = (model.__doc__ or "").partition("\n")[0].strip().rstrip(".")
        rule = f"# {prefix}  {title} ".ljust(WIDTH, "-")
        blocks.append(rule)
        blocks += [_block(model, field, info) for field, info in model.model_fields.items()]
    return "\n\n".join(blocks) + "\n"


def _block(model: type[RoomSettings], field: str, info: FieldInfo) -> str:
    description = (info.description or field.replace("_", " ")).rstrip(".")
    lines = textwrap.wrap(f"{description[0].upper()}{description[1:]}.", WIDTH - 2)
    lines += textwrap.wrap(f"{kind_of(info)}; default: {default_text(model, field)}", WIDTH - 2)
    return "\n".join([*(f"# {line}" for line in lines), f"#{model.variable(field)}={_example(model, field, info)}"])


def _example(model: type[RoomSettings], field: str, info: FieldInfo) -> str:
    if info.examples:
        return str(info.examples[0])
    if is_secret(field, info) and not is_url(field):
        return "<secret>"
    usual = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    default = model.defaults_in("development").get(field, usual)
    return shown(default, secret=is_secret(field, info), url=is_url(field))
