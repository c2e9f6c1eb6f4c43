"""From the environment to `Settings`, or to every problem at once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings.model import ROOMS, Settings
from settings.near_misses import name_problems
from settings.problems import Problem, SettingsError
from settings.room import RoomSettings
from settings.sources import Layers, read_layers

TOLERATED = frozenset({"DATABASE_URL", "REDIS_URL", "WS_URL"})
ENVIRONMENTS = ("development", "testing", "staging", "production")
PRODUCTION_SIGNS = ("KUBERNETES_SERVICE_HOST", "DYNO", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY")
_FIXES = {"int": "a whole number", "float": "a number", "bool": "true or false"}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a look at all sources found: settings where they can be used, and every problem."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    environment: str

    @property
    def valid(self) -> bool:
        """Whether no problem is an error."""
        return all(problem.severity != "error" for problem in self.problems)


def load_settings(
    environ: Mapping[str, str] | None = None, *, folder: Path | None = None, models: Sequence[type[RoomSettings]] = ()
) -> Settings:
    """Return the validated settings.

    Args:
        environ: The environment; `os.environ` by default, which is never written to.
        folder: Where the `.env` files are; APP_ENV_DIR or the working directory by default.
        models: The application's own settings models, beside those that APP_SETTINGS names.

    Raises:
        SettingsError: With every problem of the run.
    """
    inspection = inspect_settings(environ, folder=folder, models=models)
    if inspection.settings is None:
        raise SettingsError(inspection.problems)
    return inspection.settings


def inspect_settings(
    environ: Mapping[str, str] | None = None, *, folder: Path | None = None, models: Sequence[type[RoomSettings]] = ()
) -> Inspection:
    """Return the settings and all problems; raises nothing on account of what the sources hold."""
    environ = os.environ if environ is None else environ
    folder = folder or Path(environ.get("APP_ENV_DIR") or ".")
    rooms: dict[str, type[RoomSettings]] = {**ROOMS, **{_attribute(model): model for model in models}}
    layers = read_layers(_variables(rooms), environ, folder)
    problems = list(layers.problems)
    rooms |= _named_models(layers, problems)
    layers = read_layers(_variables(rooms), environ, folder)
    problems += name_problems(_all_names(environ, layers), _variables(rooms))
    return _build(rooms, layers, problems, environ)


def _attribute(model: type[RoomSettings]) -> str:
    return str(model.model_config.get("env_prefix", "")).lower().rstrip("_") or model.__name__.lower()


def _variables(rooms: Mapping[str, type[RoomSettings]]) -> list[str]:
    return [model.variable(field) for model in rooms.values() for field in model.model_fields]


def _all_names(environ: Mapping[str, str], layers: Layers) -> list[tuple[str, str]]:
    files = [(name, origin) for name, (_, origin) in layers.values.items() if origin.startswith(".env")]
    return files + [(name, "environment") for name in environ if name not in dict(files)]


def _named_models(layers: Layers, problems: list[Problem]) -> dict[str, type[RoomSettings]]:
    found: dict[str, type[RoomSettings]] = {}
    for name in filter(None, (part.strip() for part in (layers.text("APP_SETTINGS") or "").split(","))):
        module, _, attribute = name.partition(":")
        try:
            model = getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            message = f"{name} cannot be imported ({type(error).__name__})"
            problems.append(Problem("APP_SETTINGS", "error", "unknown-model", message, "write module:Class"))
            continue
        found[_attribute(model)] = model
    return found


def _build(
    rooms: Mapping[str, type[RoomSettings]], layers: Layers, problems: list[Problem], environ: Mapping[str, str]
) -> Inspection:
    environment = layers.text("APP_ENV") or "development"
    defaults_of = environment if environment in ENVIRONMENTS else "development"
    strict = (layers.text("APP_STRICT") or str(defaults_of in ("staging", "production"))).lower() in (
        "1",
        "true",
        "yes",
        "on",
    )
    built, tolerated = {}, set[str]()
    for name, model in rooms.items():
        values = _values(model, layers, defaults_of)
        built[name] = _validated(
            model, values, layers, problems, tolerated=frozenset() if strict else TOLERATED, seen=tolerated
        )
    problems += cross_problems(layers, environ, defaults_of)
    failed = any(problem.severity == "error" and problem.variable not in tolerated for problem in problems)
    origins = MappingProxyType({name: origin for name, (_, origin) in layers.values.items()})
    if failed:
        return Inspection(None, tuple(problems), environment)
    own_models = MappingProxyType({name: model for name, model in built.items() if name not in ROOMS and model})
    ours: dict[str, Any] = {name: built[name] for name in ROOMS}
    settings = Settings(**ours, problems=tuple(problems), origins=origins, own=own_models)
    return Inspection(settings, tuple(problems), environment)


def _values(model: type[RoomSettings], layers: Layers, environment: str) -> dict[str, Any]:
    given = {field: layers.text(model.variable(field)) for field in model.model_fields}
    own = {field for field, text in given.items() if text is not None}
    values = {**model.defaults_in(environment), **_derived(model, layers)}
    return {**values, **{field: given[field] for field in own}}


def _derived(model: type[RoomSettings], layers: Layers) -> dict[str, Any]:
    """Return the defaults that come from another variable."""
    if model is ROOMS["cache"]:
        return {"key_prefix": f"{layers.text('APP_NAME') or 'app'}:"}
    if model is ROOMS["workers"] and (url := layers.text("REDIS_URL")):
        return {"broker_url": url}
    return {}


def _validated(
    model: type[RoomSettings],
    values: dict[str, Any],
    layers: Layers,
    problems: list[Problem],
    *,
    tolerated: frozenset[str],
    seen: set[str],
) -> RoomSettings | None:
    try:
        return model(**values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    for detail in details:
        variable = model.variable(str(detail["loc"][0])) if detail["loc"] else model.__name__
        problems.append(_problem(variable, detail, layers.values.get(variable, ("", "default"))[1]))
        if variable in tolerated:
            seen.add(variable)
            values[str(detail["loc"][0])] = None
    broken = {model.variable(str(detail["loc"][0])) for detail in details if detail["loc"]}
    return model(**values) if broken <= tolerated else None


def _problem(variable: str, detail: ErrorDetails, source: str) -> Problem:
    context, kind = detail.get("ctx", {}), detail["type"]
    if "fix" in context:
        return Problem(variable, "error", kind, str(context["message"]), str(context["fix"]), source)
    if kind.partition("_")[0] in _FIXES and kind != "finite_number":
        word = _FIXES[kind.partition("_")[0]]
        return Problem(variable, "error", "invalid-value", f"it is not {word}", f"set {variable} to {word}", source)
    code = {"literal_error": "unknown-choice"}.get(kind, "out-of-range" if "than" in kind else kind.replace("_", "-"))
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return Problem(variable, "error", code, message, f"choose a value for {variable} that fits", source)


def cross_problems(layers: Layers, environ: Mapping[str, str], environment: str) -> list[Problem]:
    """Return what is wrong between variables, each of which may be right by itself."""
    found, live = list[Problem](), environment in ("staging", "production")
    if layers.text("APP_ENV") is None and (
        sign := next((name for name in PRODUCTION_SIGNS if environ.get(name)), None)
    ):
        message = f"it is not set, and {sign} looks like production; development's defaults are used"
        found.append(Problem("APP_ENV", "warning", "environment-not-set", message, "set APP_ENV=production", "default"))
    if live and layers.text("DATABASE_URL") is None and not environ.get("DATABASE_URL_FILE"):
        fix = "set DATABASE_URL=postgresql://user:password@host:5432/name"
        found.append(
            Problem("DATABASE_URL", "error", "missing-database-url", f"it is required in {environment}", fix, "default")
        )
    for name in ("APP_NAME", "APP_SECRET_KEY"):
        if environment == "production" and layers.text(name) is None:
            found.append(Problem(name, "warning", "left-out", "it is not set in production", f"set {name}", "default"))
    if layers.text("DATABASE_FALLBACK_URL") and (environ.get("WEB_CONCURRENCY") or live):
        message = "with several processes, each that falls back writes to a database of its own"
        fix = "unset DATABASE_FALLBACK_URL where data must not fork"
        found.append(Problem("DATABASE_FALLBACK_URL", "warning", "fallback-splits-data", message, fix))
    if layers.text("WORKERS_ENGINE") == "celery" and not (
        layers.text("WORKERS_BROKER_URL") or layers.text("REDIS_URL")
    ):
        fix = "set WORKERS_BROKER_URL=redis://host:6379/0"
        found.append(Problem("WORKERS_BROKER_URL", "error", "missing-broker", "celery needs a broker", fix, "default"))
    return found
