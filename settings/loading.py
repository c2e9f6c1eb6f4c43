"""From the environment to `Settings`, or to every problem at once."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from settings.checks import cross_problems
from settings.checks.subject import Subject
from settings.dotenv_files import OF_A_NAME
from settings.explain import secrets_in
from settings.fields import decoded
from settings.model import ROOMS, AppSettings, Settings
from settings.near_misses import name_problems
from settings.own_models import named_models
from settings.problems import Problem, SettingsError, Severity, mask_secrets
from settings.room import RoomSettings
from settings.sources import Sources

TOLERATED = frozenset({"DATABASE_URL", "REDIS_URL", "WS_URL"})
"""What a boot that is not strict can do without: it has a fallback."""
SHORTEST_SECRET = 4
"""Shorter ones are not looked for: they would be found within the words of every report."""
NO_SECRETS = frozenset({"password"})
"""What the examples have in place of one; the word must stay readable in the sentences that speak of passwords."""
_ORDER: Mapping[Severity, int] = MappingProxyType({"error": 0, "warning": 1, "notice": 2})


class Inspection(NamedTuple):
    """What a look at all sources found: settings where they can be used, and every problem.

    Attributes:
        settings: The settings, or None when a boot would stop.
        problems: Every problem, errors first, then in the order of the rooms.
        environment: The environment whose defaults were used.
        models: Every room that could be built; a value that is wrong is at its default.
        origins: Variable and where its value came from.
        failed: Variables whose value is wrong.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]
    environment: str
    models: Mapping[str, RoomSettings]
    origins: Mapping[str, str]
    failed: frozenset[str]

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
    sources = Sources(os.environ if environ is None else environ, folder)
    own, problems = named_models(sources.value("APP_SETTINGS"), models)
    rooms = {**ROOMS, **own}
    known = [model.variable(each) for model in rooms.values() for each in model.model_fields]
    sources.variables = frozenset(known)
    reading = _Reading(sources)
    built = {name: reading.built(model) for name, model in rooms.items()}
    valid = {name: model for name, model in built.items() if model is not None}
    crossed = cross_problems(Subject(valid, sources, frozenset(reading.failed)))
    # What nobody filled in is wrong for that reason alone.
    unfilled = {each.variable for each in crossed if each.code == "placeholder"}
    problems += [each for each in reading.problems if each.variable not in unfilled] + crossed
    ours = {*known, *(f"{each}_FILE" for each in known)}
    problems += [each for each in sources.problems if each.code not in OF_A_NAME or each.variable in ours]
    problems += name_problems(sources.names(), known)
    complete = len(valid) == len(rooms)
    settings, found = _settings(valid, [reading.masked(each) for each in problems], reading.origins, complete=complete)
    return Inspection(settings, found, sources.environment, valid, reading.origins, frozenset(reading.failed))


def _settings(
    models: Mapping[str, RoomSettings], problems: list[Problem], origins: Mapping[str, str], *, complete: bool
) -> tuple[Settings | None, tuple[Problem, ...]]:
    app = models["app"]
    assert isinstance(app, AppSettings)
    tolerated = frozenset() if app.strict else TOLERATED
    found = tuple(sorted(problems, key=lambda each: _ORDER[each.severity]))
    bears = (each.variable in tolerated and each.code != "set-twice" for each in found if each.severity == "error")
    if not complete or not all(bears):
        return None, found
    ours: dict[str, Any] = {name: models[name] for name in ROOMS}
    own = MappingProxyType({name: model for name, model in models.items() if name not in ROOMS})
    return Settings(**ours, problems=found, origins=MappingProxyType(dict(origins)), own=own), found


class _Reading:
    """One pass over the sources: builds each room, and remembers origins, failures and secrets."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.problems: list[Problem] = []
        self.origins: dict[str, str] = {}
        self.failed: set[str] = set()
        self._secrets: set[str] = set()

    def built(self, model: type[RoomSettings]) -> RoomSettings | None:
        """Return the room, wrong values replaced by their defaults (a wrong URL by none); None without a default."""
        values = {**model.defaults_in(self._sources.environment), **self._derived(model), **self._given(model)}
        with suppress(SettingsError):
            return model(**values)
        return self._mended(model, values)

    def masked(self, problem: Problem) -> Problem:
        """Return a problem without any of the secrets that were read, should a model of the application name one."""
        secrets = [each for each in self._secrets if len(each) >= SHORTEST_SECRET and each not in NO_SECRETS]
        message, fix, source = (mask_secrets(each, secrets) for each in (problem.message, problem.fix, problem.source))
        return replace(problem, message=message, fix=fix, source=source)

    def _mended(self, model: type[RoomSettings], values: dict[str, Any]) -> RoomSettings | None:
        fields = {model.variable(each): each for each in model.model_fields}
        while True:
            try:
                return model(**values)
            except SettingsError as error:
                found = [each for each in error.problems if each.variable not in self.failed]
            self.problems += [replace(each, source=self._source(each.variable, fields)) for each in found]
            self.failed |= {each.variable for each in found}
            removed = [each.variable for each in found if values.pop(fields.get(each.variable, ""), None) is not None]
            if not removed:
                return None
            values |= {fields[each]: None for each in removed if each in TOLERATED}

    def _source(self, variable: str, fields: Mapping[str, str]) -> str:
        """Return where a value came from; of a problem between a model's fields, where any of them did."""
        names = [variable] if variable in fields else fields
        return ", ".join(dict.fromkeys(self.origins[each] for each in names if each in self.origins)) or "default"

    def _given(self, model: type[RoomSettings]) -> dict[str, Any]:
        given = {}
        for name, info in model.model_fields.items():
            variable = model.variable(name)
            value = self._sources.value(variable)
            if value is None:
                continue
            self.origins[variable] = value.origin
            given[name] = decoded(value.text, info)
            self._secrets |= secrets_in(name, info, value.text) | secrets_in(name, info, given[name])
        return given

    def _derived(self, model: type[RoomSettings]) -> dict[str, str]:
        whole = {name: each for name, each in model.derived.items() if each[0] not in self.failed}
        found = {name: (self._sources.text(variable), form) for name, (variable, form) in whole.items()}
        return {name: form.format(text) for name, (text, form) in found.items() if text is not None}
