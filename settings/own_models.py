"""The application's own settings models: those that APP_SETTINGS names, and those given to `bootstrap()`."""

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from settings.model import ROOMS, Settings
from settings.near_misses import nearest
from settings.problems import Problem
from settings.room import RoomSettings
from settings.sources import Value, working_directory

_NAME = r"[A-Za-z_][\w.]{0,80}"
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
    here = str(working_directory())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)  # as `flask` and `python -m` have it, and a console script has not
    try:
        model = getattr(import_module(module), attribute, None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an import runs the application's code: it may do anything
        return _unknown(name, f"cannot be imported: {_reason(error)}", origin)
    if model is None:
        classes = [each for each, found in vars(sys.modules[module]).items() if _is_room(found)]
        near = nearest(attribute, classes, most=3) if attribute else None
        return _unknown(name, f"names no class of {module}{f'; did you mean {near}?' if near else ''}", origin)
    if not _is_room(model):
        return _unknown(name, "is no RoomSettings", origin)
    found: type[RoomSettings] = model
    return found


def _is_room(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, RoomSettings) and found is not RoomSettings


def _reason(error: BaseException) -> str:
    """Return why an import failed, without the error's words: they may quote what the application stumbled over."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None and re.fullmatch(_NAME, error.name):
        return f"there is no module {error.name}"
    return type(error).__name__


def _unknown(name: str, message: str, origin: str) -> Problem:
    subject = name if re.fullmatch(rf"{_NAME}(:\w*)?", name) else "the value"  # which may be a secret in a wrong place
    return Problem("APP_SETTINGS", "error", "unknown-model", f"{subject} {message}", _FORM, origin)


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
