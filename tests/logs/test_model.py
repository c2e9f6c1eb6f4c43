"""LOG_: what may be set, and what is said of the rest."""

from typing import Any

import pytest

from settings.logs.model import LogsSettings
from settings.problems import SettingsError


def test_defaults_are_those_of_the_contract() -> None:
    """What nobody set has its documented value."""
    logs = LogsSettings()
    assert (logs.level, logs.limit_level, logs.format, logs.file) == ("INFO", "WARNING", "text", None)
    assert (logs.errors_per_minute, logs.summary_interval, logs.max_fingerprints) == (5, 60, 10000)


@pytest.mark.parametrize(
    ("environment", "level", "kind"),
    [
        ("development", "DEBUG", "text"),
        ("testing", "INFO", "text"),
        ("staging", "INFO", "json"),
        ("production", "INFO", "json"),
    ],
)
def test_defaults_of_an_environment(environment: str, level: str, kind: str) -> None:
    """More words in development, JSON where a machine collects the lines."""
    assert LogsSettings.defaults_in(environment) == {"level": level, "format": kind}


def test_levels_of_single_loggers() -> None:
    """Pairs with spaces and small letters are understood; an empty text is none."""
    logs = LogsSettings.model_validate({"levels": " sqlalchemy.engine = info, werkzeug=WARNING ,"})
    assert logs.levels == {"sqlalchemy.engine": "INFO", "werkzeug": "WARNING"}
    assert LogsSettings.model_validate({"levels": ""}).levels == {}


@pytest.mark.parametrize("text", ["werkzeug", "werkzeug=", "=INFO", "werkzeug=LOUD", "a=INFO;b=INFO"])
def test_a_pair_that_is_none_says_how_to_write_it(text: str) -> None:
    """Code and fix are with the error."""
    with pytest.raises(ValueError, match="invalid-levels") as caught:
        LogsSettings.model_validate({"levels": text})
    assert "write sqlalchemy.engine=INFO,werkzeug=WARNING" in str(caught.value)


def test_levels_that_come_as_pairs_are_looked_at_too() -> None:
    """A mapping, as JSON gives one, has the same words and the same bounds."""
    assert LogsSettings.model_validate({"levels": {"a": "info"}}).levels == {"a": "INFO"}
    with pytest.raises(ValueError, match="that of 'a'"):
        LogsSettings.model_validate({"levels": {"a": "LOUD"}})


@pytest.mark.parametrize(
    "values",
    [{"level": "LOUD"}, {"errors_per_minute": -1}, {"summary_interval": 0}, {"summary_interval": "nan"},
     {"max_fingerprints": 0}, {"format": "xml"}, {"limit_level": ""}],
)  # fmt: skip
def test_what_is_impossible_is_refused(values: dict[str, object]) -> None:
    """No value outside its bounds gets in."""
    with pytest.raises(ValueError, match="LOG_"):
        LogsSettings.model_validate(values)


def test_a_level_is_any_case_and_a_wrong_one_is_told_as_it_was_written() -> None:
    """`debug` is DEBUG; `foo` is told as foo, so that it can be looked for."""
    assert LogsSettings.model_validate({"level": "debug"}).level == "DEBUG"
    wrong: dict[str, Any] = {"level": "foo"}
    with pytest.raises(SettingsError) as caught:
        LogsSettings(**wrong)
    assert "'foo'" in str(caught.value)
