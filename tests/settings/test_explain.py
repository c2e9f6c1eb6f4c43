"""A wrong value is explained by what was wanted, and shown when nobody could mind."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from settings import RoomSettings, SettingsError
from settings.explain import innocent, is_secret, kind_of, shown
from settings.problems import MASK, Problem


class Colour(Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class KitSettings(RoomSettings):
    """One field of each kind."""

    model_config = SettingsConfigDict(env_prefix="KIT_")

    count: int = Field(5, ge=1, le=9)
    many: int = Field(5, ge=1, le=10000000)
    share: float = Field(0.5, gt=0, lt=1)
    on: bool = True
    mode: Literal["slow", "fast"] = "slow"
    colour: Colour = Colour.RED
    file: Path | None = None
    name: str = Field("kit", min_length=2, max_length=5)
    words: Annotated[list[str], NoDecode] = []  # noqa: RUF012 - pydantic copies it
    levels: Annotated[dict[str, str], NoDecode] = {}  # noqa: RUF012 - pydantic copies it
    api_token: str = ""
    key: SecretStr | None = None


def problem(**values: str) -> Problem:
    """Return the one problem of these values."""
    given: dict[str, Any] = dict(values)
    with pytest.raises(SettingsError) as caught:
        KitSettings(**given)
    [found] = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("field", "value", "code", "message", "fix"),
    [
        ("count", "many", "invalid-value", "'many' is not a whole number from 1 to 9", "KIT_COUNT=5"),
        ("many", "0", "out-of-range", "'0' is not a whole number from 1 to 10000000", "KIT_MANY=5"),
        ("count", "1.5", "invalid-value", "'1.5' is not a whole number", "KIT_COUNT=5"),
        ("count", "10", "out-of-range", "'10' is not a whole number from 1 to 9", "KIT_COUNT=5"),
        ("share", "1", "out-of-range", "'1' is not a number above 0 and below 1", "KIT_SHARE=0.5"),
        ("share", "nan", "invalid-value", "'nan' is not a number", "KIT_SHARE=0.5"),
        ("on", "enable", "invalid-value", "'enable' is not true or false", "KIT_ON=true"),
        ("mode", "fest", "unknown-choice", "'fest' is none of slow, fast", "set KIT_MODE=fast"),
        ("mode", "purple", "unknown-choice", "'purple' is none of slow, fast", "one of these"),
        ("colour", "blu", "unknown-choice", "'blu' is none of red, blue", "set KIT_COLOUR=blue"),
        ("name", "x", "too-short", "too short", "KIT_NAME=kit"),
        ("name", "long name", "too-long", "too long", "KIT_NAME=kit"),
        ("name", "\ud800\ud800", "invalid-character", "not valid Unicode", "KIT_NAME=kit"),
    ],
)
def test_a_wrong_value_is_explained(field: str, value: str, code: str, message: str, fix: str) -> None:
    """Code, what was given and wanted, and a line to paste."""
    found = problem(**{field: value})
    assert found.code == code
    assert message in found.message
    assert fix in found.fix


@pytest.mark.parametrize("value", ["S3cretWord!", "postgresql://u:p@h/d", "x" * 60, "a1b2c3d4e5f6", "pass@word", "\0"])
def test_what_may_be_a_secret_is_not_shown(value: str) -> None:
    """A value that has a password's shape is not repeated, wherever it was put."""
    assert innocent(value) == "the value"
    assert value not in problem(count=value).message


@given(st.text())
def test_an_innocent_value_is_short_and_plain(text: str) -> None:
    """What is shown is a number with a unit or a word, and nothing else."""
    if innocent(text) != "the value":
        assert len(text) <= 26
        assert not set(text) & set("@/\\'\"=&?#")


def test_kinds_are_said_in_words() -> None:
    """Type and bounds are what a person reads in `.env.example`."""
    kinds = {field: kind_of(info) for field, info in KitSettings.model_fields.items()}
    assert kinds["count"] == "a whole number from 1 to 9"
    assert kinds["share"] == "a number above 0 and below 1"
    assert kinds["colour"] == "red or blue"
    assert (kinds["file"], kinds["key"], kinds["on"]) == ("a path", "a secret text", "true or false")
    assert "commas" in kinds["words"]
    assert "commas" in kinds["levels"]


def test_a_secret_is_known_by_type_or_name() -> None:
    """A plain text that is called token is hidden like a SecretStr."""
    assert {field for field, info in KitSettings.model_fields.items() if is_secret(field, info)} == {"api_token", "key"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ("", ""), (True, "true"), (5.0, "5"), (0.5, "0.5"), ({"a": "b", "c": "d"}, "a=b,c=d"),
        (["a", "b"], "a,b"), (Colour.RED, "red"), (SecretStr("x"), MASK),
        (SecretStr("redis://u:x@h/0"), MASK), ("http://u:x@h/", "http://u:***@h/"),
    ],
)  # fmt: skip
def test_a_value_is_shown_as_it_is_written(value: object, text: str) -> None:
    """What `show` prints can be pasted into a `.env`, but for what is masked."""
    assert shown(value) == text


def test_a_plain_text_that_is_secret_is_masked() -> None:
    """A secret that is not a SecretStr is masked by the field's name."""
    assert shown("Zq9", secret=True) == MASK
    assert shown("amqp://u:Zq9@h", secret=True) == MASK
    assert shown("amqp://u:Zq9@h", secret=True, url=True) == "amqp://u:***@h"
    assert shown(SecretStr("redis://u:Zq9@h/0"), url=True) == "redis://u:***@h/0"
