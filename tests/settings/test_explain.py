"""A wrong value is explained by what was wanted, and shown when nobody could mind."""

from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretBytes, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from settings import RoomSettings, SettingsError
from settings.example import rows_of
from settings.explain import innocent, secrets_in, shown
from settings.problems import MASK, Problem


class Colour(Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class InnerSettings(BaseModel):
    """A part of a model."""

    size: int = 1
    password: str = "Zq9inner"
    url: str = "redis://:Zq9inUrl@h/0"


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
    plate: str = Field("ZH", pattern="^[A-Z]{2}$")
    price: Decimal = Decimal(1)
    numbers: Annotated[list[int], NoDecode] = []  # noqa: RUF012 - pydantic copies it
    sizes: Annotated[dict[str, int], NoDecode] = {}  # noqa: RUF012 - pydantic copies it
    api_token: str = Field("", max_length=9)
    tokens: Annotated[list[SecretStr], NoDecode] = []  # noqa: RUF012 - pydantic copies it
    passwords: Annotated[dict[str, str], NoDecode] = {}  # noqa: RUF012 - pydantic copies it
    blob: SecretBytes = SecretBytes(b"")
    inner: InnerSettings = InnerSettings()
    key: SecretStr | None = Field(None, max_length=9)


def problem(**values: object) -> Problem:
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
        ("name", "long name", "too-long", "text of at least 2 and at most 5 characters", "at most 5 characters"),
        ("plate", "AB-1", "string-pattern-mismatch", "is not text that matches ^[A-Z]{2}$", "KIT_PLATE=ZH"),
        ("price", "cheap", "decimal-parsing", "'cheap' is not a number", "a number"),
        ("numbers", ["1", "x"], "invalid-value", "entry 2: input should be a valid integer", "each a whole number"),
        ("sizes", {"a": "x"}, "invalid-value", "'a': input should be a valid integer", "each a whole number"),
        ("name", "\ud800\ud800", "invalid-character", "not valid Unicode", "KIT_NAME=kit"),
    ],
)
def test_a_wrong_value_is_explained(field: str, value: object, code: str, message: str, fix: str) -> None:
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


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("tokens", ["Zq9one", "Zq9two"], MASK), ("passwords", {"a": "Zq9one"}, MASK), ("blob", b"Zq9one", MASK),
        ("levels", {"a": "b", "api_key": "Zq9one"}, "a=b,api_key=***"),
        ("inner", InnerSettings(), "size=1,password=***,url=redis://:***@h/0"),
        ("name", "redis://:Zq9 'one@h/0", "redis://:***@h/0"),
    ],
)  # fmt: skip
def test_a_secret_within_a_value_is_masked(field: str, value: object, text: str) -> None:
    """Lists, pairs, bytes and inner models of an application hide what they hold, and it is known to the masking."""
    given: dict[str, Any] = {field: value}
    model = KitSettings.model_construct(**given)
    [row] = [row for row in rows_of({"kit": model}, {}) if row.variable == f"KIT_{field.upper()}"]
    assert row.value == text
    found = secrets_in(field, KitSettings.model_fields[field], value)
    assert found
    assert all(each.startswith("Zq9") for each in found)


@pytest.mark.parametrize(("field", "value"), [("api_token", "hunterhunter"), ("key", "hunterhunter")])
def test_a_wrong_secret_is_not_shown(field: str, value: str) -> None:
    """A word is innocent everywhere but where a secret should be."""
    assert "hunter" not in str(problem(**{field: value}))
