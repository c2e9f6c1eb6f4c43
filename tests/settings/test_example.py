""".env.example: written from the models, kept equal to them, and a good start."""

import re
from pathlib import Path

import pytest

from settings import RoomSettings, load_settings
from settings.example import WIDTH, default_text, example_text, rows
from settings.loading import inspect_settings
from settings.model import ROOMS

HOUSE = Path(__file__).parents[2]
MODELS = [(model, field) for model in ROOMS.values() for field in model.model_fields]


def test_the_file_is_what_the_models_say() -> None:
    """Run `python -m settings example > .env.example` when this fails."""
    assert (HOUSE / ".env.example").read_text("utf-8") == example_text()


def test_copied_as_it_is_nothing_is_set(tmp_path: Path) -> None:
    """A copy is a valid `.env` in which every line is a comment: the application boots with its defaults."""
    (tmp_path / ".env").write_text(example_text())
    settings = load_settings({}, folder=tmp_path)
    assert settings.problems == ()
    assert settings.origins == {}


def test_every_example_is_a_right_value(tmp_path: Path) -> None:
    """With every # taken away, the values are right, but for the placeholders that ask for a value of one's own."""
    lines = [line.removeprefix("#") for line in example_text().splitlines() if re.match(r"#[A-Z_]+=", line)]
    kept = [line for line in lines if not line.startswith(("APP_SETTINGS=", "DATABASE_URL="))]
    (tmp_path / ".env").write_text("\n".join(["DATABASE_URL=postgresql://app:pw@localhost/app", *kept]))
    found = inspect_settings({}, folder=tmp_path).problems
    assert {each.code for each in found if each.severity == "error"} == {"placeholder"}


@pytest.mark.parametrize(("model", "field"), MODELS, ids=[model.variable(field) for model, field in MODELS])
def test_each_variable_is_described(model: type[RoomSettings], field: str) -> None:
    """Description, type, bounds, default and an example stand together, in lines of a readable length."""
    [block] = [each for each in example_text().split("\n\n") if f"\n#{model.variable(field)}=" in each]
    assert "default: " in block.replace("\n# ", " ")
    assert all(len(line) <= WIDTH for line in block.splitlines())


def test_defaults_that_differ_are_told_by_environment() -> None:
    """A person reads which default holds where, and which one follows another variable."""
    assert default_text(ROOMS["logs"], "level") == "DEBUG in development; INFO in testing and staging and production"
    assert default_text(ROOMS["cache"], "key_prefix") == "<APP_NAME>:"
    assert default_text(ROOMS["workers"], "broker_url") == "REDIS_URL"
    assert default_text(ROOMS["websocket"], "queue_size") == "1000"


def test_rows_are_masked(tmp_path: Path) -> None:
    """What `show` and the status page list holds no secret."""
    settings = load_settings({"WS_TOKEN": "Zq9", "REDIS_URL": "redis://:Zq9@h"}, folder=tmp_path)
    found = {row.variable: row.value for row in rows(settings)}
    assert (found["WS_TOKEN"], found["REDIS_URL"]) == ("***", "redis://:***@h")
