"""The application's own settings models: those that APP_SETTINGS names, and those given to `bootstrap()`."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from settings.model import ROOMS, Settings
from settings.problems import Problem
from settings.room import RoomSettings
from settings.sources import Value

_FORM = "write module:Class of a subclass of settings.RoomSettings, several with commas between"


def attribute_of(model: type[RoomSettings]) -> str:
    """Return the name of a model in `services.settings`: its prefix in small letters, `billing` for `BILLING_`."""
    prefix = str(model.model_config.get("env_prefix", "")).lower().rstrip("_")
    return prefix or model.__name__.removesuffix("Settings").lower() or model.__name__.lower()


def named_models(
    value: Value | None, given: Sequence[type[RoomSettings]] = ()
) -> tuple[dict[str, type[RoomSettings]], list[Problem]]:
    """Return the application's models by attribute, and what is wrong with those that cannot be used.

    Args:
        value: The value of APP_SETTINGS.
        given: Models that the application gave itself.
    """
    found: dict[str, type[RoomSettings]] = {}
    problems = []
    text, origin = value or Value("", "default")
    named = [_imported(each, origin) for each in (part.strip() for part in text.split(",")) if each]
    for model in [*given, *named]:
        problem = model if isinstance(model, Problem) else _clash(model, found, origin)
        if isinstance(problem, Problem):
            problems.append(problem)
        elif not isinstance(model, Problem):
            found[attribute_of(model)] = model
    return found, problems


def _imported(name: str, origin: str) -> type[RoomSettings] | Problem:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)  # as `flask` and `python -m` have it, and a console script has not
    try:
        model = getattr(import_module(module), attribute)
    except Exception as error:  # noqa: BLE001 - an import runs the application's code, which may raise anything
        # Its words are not shown: they may quote the value that the application stumbled over.
        return Problem("APP_SETTINGS", "error", "unknown-model",
                       f"{name} cannot be imported: {type(error).__name__}", _FORM, origin)  # fmt: skip
    if not (isinstance(model, type) and issubclass(model, RoomSettings)):
        return Problem("APP_SETTINGS", "error", "unknown-model", f"{name} is no RoomSettings", _FORM, origin)
    return model


def _clash(model: type[RoomSettings], found: Mapping[str, type[RoomSettings]], origin: str) -> Problem | None:
    name = attribute_of(model)
    if found.get(name) is model:
        return None
    taken = {each.variable(field) for each in (*ROOMS.values(), *found.values()) for field in each.model_fields}
    both = sorted(taken & {model.variable(field) for field in model.model_fields})
    if both or name in ROOMS or name in found or hasattr(Settings, name):
        message = f"{model.__name__} claims {', '.join(both) or f'the name {name}'}, which is taken"
        return Problem("APP_SETTINGS", "error", "model-clash", message, "give it an env_prefix of its own", origin)
    return None
