"""All settings of a process: rooms, origins, secrets, bounds."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import RoomSettings, SettingsError, load_settings
from settings.logs.model import LEVELS, Level, LogsSettings
from settings.model import ROOMS
from settings.problems import Problem
from settings.status.model import StatusSettings

BOUNDED = [
    (model, field, name, getattr(each, name))
    for model in ROOMS.values()
    for field, info in model.model_fields.items()
    for each in info.metadata
    for name in ("ge", "gt", "le")
    if hasattr(each, name)
]


@pytest.mark.parametrize(("model", "field", "name", "bound"), BOUNDED)
def test_every_bound_holds(model: type[RoomSettings], field: str, name: str, bound: float) -> None:
    """The bound itself is in or out as it says, and the next number beyond it is out."""
    beyond = bound + 1 if name == "le" else bound - 1
    assert {"ge": True, "le": True, "gt": False}[name] == _is_right(model, field, bound)
    assert not _is_right(model, field, beyond)


def _is_right(model: type[RoomSettings], field: str, number: float) -> bool:
    problems: tuple[Problem, ...] = ()
    try:
        model(**{field: f"{number:g}" if number < 1e6 else str(int(number))})
    except SettingsError as error:
        problems = error.problems
    assert {(each.variable, each.code) for each in problems} <= {(model.variable(field), "out-of-range")}
    return not problems


def test_every_number_has_a_bound() -> None:
    """No count and no time is without a floor and a ceiling, and inf is no time."""
    numbers = {
        model.variable(field)
        for model in ROOMS.values()
        for field, info in model.model_fields.items()
        if info.annotation in (int, float)
    }
    bounded = {(model.variable(field), name == "le") for model, field, name, _ in BOUNDED}
    assert {(name, ceiling) for name in numbers for ceiling in (True, False)} == bounded


@pytest.mark.parametrize("text", ["yes", "on", "1", "TRUE", "no", "Off", "0", "false"])
def test_truth_is_written_in_many_ways(text: str) -> None:
    """What people write for true and false is understood, in any case."""
    settings = load_settings({"DATABASE_ECHO": text}, folder=Path("/nonexistent-folder"))
    assert settings.database.echo == (text.lower() in ("yes", "on", "1", "true"))


@given(st.dictionaries(st.from_regex(r"[a-z][a-z._]{0,20}", fullmatch=True), st.sampled_from(LEVELS), max_size=4))
def test_levels_of_loggers_are_read_as_they_are_written(levels: dict[str, str]) -> None:
    """`name=LEVEL` pairs in any case, with commas and white space between."""
    text = " , ".join(f"{name} = {level.lower()}" for name, level in levels.items())
    assert LogsSettings(levels=text).levels == levels


@pytest.mark.parametrize("text", ["sqlalchemy", "=INFO", "a=LOUD", "a=INFO,b"])
def test_levels_that_are_none_are_refused(text: str) -> None:
    """A pair without a name or a level is a problem with the form to write."""
    with pytest.raises(SettingsError) as caught:
        LogsSettings(levels=text)
    assert [(each.variable, each.code) for each in caught.value.problems] == [("LOG_LEVELS", "invalid-levels")]


def test_the_levels_are_said_once() -> None:
    """The type and the list name the same levels in the same order."""
    assert get_args(Level) == LEVELS


@pytest.mark.parametrize(
    ("prefix", "right"),
    [
        ("", True), ("/ops", True), ("/a/b-c", True), ("ops", False), ("/", False), ("/ops/", False), ("/o ps", False),
        ("/<x>", False), ("//", False),
    ],
)  # fmt: skip
def test_a_prefix_is_a_path(prefix: str, right: bool) -> None:
    """STATUS_PREFIX begins with a slash, ends with none, and is no pattern of a route."""
    if right:
        assert StatusSettings(prefix=prefix).prefix == prefix
    else:
        with pytest.raises(SettingsError):
            StatusSettings(prefix=prefix)


def test_secrets_are_known_in_each_spelling(tmp_path: Path) -> None:
    """What logs mask is every token, and every URL's password as it is written and as it is meant."""
    environ = {"WS_TOKEN": "t0ken", "REDIS_URL": "redis://:a%40b@h", "DATABASE_URL": "postgresql://u:c%2Fd@h/d"}
    assert {"t0ken", "a%40b", "a@b", "c%2Fd", "c/d"} <= load_settings(environ, folder=tmp_path).secrets


def test_each_variable_is_in_one_room() -> None:
    """One grep for a variable leads to one field."""
    names = [model.variable(field) for model in ROOMS.values() for field in model.model_fields]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [("APP_NAME", "a\0b", "invalid-character"), ("APP_NAME", "a\nb", "invalid-character"),
     ("STATUS_PREFIX", "/a/../b", "invalid-path"), ("STATUS_PREFIX", "/.", "invalid-path")],
)  # fmt: skip
def test_a_name_that_no_service_takes_is_refused(variable: str, value: str, code: str) -> None:
    """What databases refuse in a name, and clients take out of a path, is wrong in its own variable."""
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value}, folder=Path("/nonexistent-folder"))
    assert [(each.variable, each.code) for each in caught.value.problems if each.severity == "error"] == [
        (variable, code)
    ]


def test_a_path_may_hold_dots() -> None:
    """Only . and .. alone are taken out."""
    found = load_settings({"STATUS_PREFIX": "/.well-known/v1.2/..x"}, folder=Path("/nonexistent-folder"))
    assert found.status.prefix == "/.well-known/v1.2/..x"
