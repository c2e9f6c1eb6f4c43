"""What a field may hold: said in words, known to be secret or not, and read from a text."""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, HttpUrl, Secret, SecretBytes, SecretStr
from pydantic_settings import SettingsConfigDict

from settings import RoomSettings, load_settings
from settings.fields import decoded, is_secret, kind_of


class Colour(Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Size(Enum):
    """Two sizes that are numbers."""

    SMALL = 1
    LARGE = 2


class Door(BaseModel):
    """A part of a model."""

    width: int = 1
    height: int = 2


class HouseSettings(RoomSettings):
    """One field of each kind."""

    model_config = SettingsConfigDict(env_prefix="HOUSE_")

    count: int = Field(5, ge=1, le=9)
    share: float = Field(0.5, gt=0, lt=1)
    on: bool = True
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    floors: Literal[1, 2, 3] = 1
    fast: Literal[True, "auto"] = "auto"
    file: Path | None = None
    name: str = Field("house", max_length=63)
    code: str = Field("ABC", min_length=3, max_length=3)
    plate: str = Field("ZH", pattern="^[A-Z]{2}$")
    words: list[str] = []  # noqa: RUF012 - pydantic copies it
    rooms: list[int] = Field([], max_length=4)
    levels: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    sizes: Mapping[str, int] = {}
    either: int | str = 3
    narrow: Annotated[int, Field(ge=1)] | None = None
    wait: timedelta = timedelta(seconds=5)
    hook: HttpUrl | None = None
    door: Door = Door()
    key: SecretStr | None = None
    blob: SecretBytes = SecretBytes(b"")
    pin: Secret[int] = Secret(1)
    codes: list[SecretStr] = []  # noqa: RUF012 - pydantic copies it
    tokens: list[str] = []  # noqa: RUF012 - pydantic copies it
    api_token: str = ""
    token_days: int = 3
    secret_file: Path | None = None
    password_kind: Literal["long", "short"] = "long"


FIELDS = HouseSettings.model_fields


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("count", "a whole number from 1 to 9"), ("share", "a number above 0 and below 1"), ("on", "true or false"),
        ("colour", "red or blue"), ("floors", "1, 2 or 3"), ("file", "a path"), ("key", "a secret text"),
        ("name", "text of at most 63 characters"), ("code", "text of 3 characters"),
        ("plate", "text that matches ^[A-Z]{2}$"), ("words", "a list, separated by commas"),
        ("rooms", "a list of at most 4 entries, separated by commas, each a whole number"),
        ("levels", "name=value pairs, separated by commas"), ("either", "a whole number or text"),
        ("sizes", "name=value pairs, separated by commas, each a whole number"), ("narrow", "a whole number"),
        ("wait", "a duration such as 0:00:30"), ("hook", "a URL"), ("door", "a JSON object of width, height"),
    ],
)  # fmt: skip
def test_kinds_are_said_in_words(field: str, words: str) -> None:
    """Type and bounds are what a person reads in `.env.example` and in every fix."""
    assert kind_of(FIELDS[field]) == words


def test_a_secret_is_known_by_type_or_name() -> None:
    """What masks itself is secret wherever it stands, and what holds text when its name says so."""
    secret = {field for field, info in FIELDS.items() if is_secret(field, info)}
    assert secret == {"key", "blob", "pin", "codes", "tokens", "api_token"}


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("words", "a, b,", ["a", "b"]), ("words", '["a,b"]', ["a,b"]), ("words", "[a", ["[a"]),
        ("rooms", "1,2", [1, 2]), ("rooms", "[1, 2]", [1, 2]),
        ("levels", "a=b, c=d=e", {"a": "b", "c": "d=e"}), ("sizes", "a=1,b=2", {"a": 1, "b": 2}),
        ("sizes", '{"a": 1}', {"a": 1}), ("door", '{"width": 3}', Door(width=3)),
        ("floors", "2", 2), ("fast", "true", True), ("fast", "auto", "auto"), ("size", "2", Size.LARGE),
        ("colour", "blue", Colour.BLUE), ("narrow", "2", 2), ("wait", "0:01:00", timedelta(minutes=1)),
    ],
)  # fmt: skip
def test_a_text_is_read_as_its_field_wants_it(field: str, text: str, value: object, tmp_path: Path) -> None:
    """What the words for a kind promise is what a variable may hold: lists, pairs, JSON, numbers among choices."""
    settings = load_settings({f"HOUSE_{field.upper()}": text}, folder=tmp_path, models=[HouseSettings])
    assert getattr(settings.of(HouseSettings), field) == value


@given(st.sampled_from(sorted(FIELDS)), st.text(min_size=1, max_size=40))
def test_any_text_can_be_read(field: str, text: str) -> None:
    """Reading never fails: what cannot be read stays the text, and the model refuses it."""
    found = decoded(text, FIELDS[field])
    assert found == text or not isinstance(found, str)
