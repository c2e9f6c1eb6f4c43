"""Which level is shown for which logger."""

import logging
from collections.abc import Iterator

import pytest

from settings.logs.levels import Levels, LibraryLevels, number_of


@pytest.fixture
def levels() -> Levels:
    """INFO, with a louder and a quieter logger."""
    return Levels("INFO", {"t.engine": "DEBUG", "t": "ERROR"}, quiet={})


@pytest.fixture
def library() -> Iterator[LibraryLevels]:
    """The standard library's levels, given back after the test."""
    made = LibraryLevels()
    yield made
    made.put({})


@pytest.mark.parametrize(
    ("name", "number"),
    [("t", 40), ("t.pool", 40), ("t.engine", 10), ("t.engine.Engine", 10), ("tt", 20), ("", 20), (None, 20)],
)
def test_the_longest_name_decides(levels: Levels, name: str | None, number: int) -> None:
    """A name rules everything below it, unless a longer one does."""
    assert levels.of(name) == number


def test_the_bounds_are_those_of_all_loggers(levels: Levels) -> None:
    """What is below the lowest is never shown, what is above the highest always."""
    assert (levels.lowest, levels.all_from) == (10, 40)


def test_the_standard_library_is_told(levels: Levels, library: LibraryLevels) -> None:
    """Its loggers refuse by themselves, and have their own levels back at the end."""
    before = logging.getLogger().level
    library.put(levels.numbers)
    assert (logging.getLogger().level, logging.getLogger("t.pool").getEffectiveLevel()) == (20, 40)
    levels.set("TRACE", "t.pool")
    library.put(levels.numbers)
    assert logging.getLogger("t.pool").isEnabledFor(5)
    library.put({"t": 10})
    assert [logging.getLogger(name).level for name in ("", "t", "t.pool", "t.engine")] == [before, 10, 0, 0]
    library.put({})
    assert logging.getLogger("t").level == 0


@pytest.mark.parametrize(
    ("base", "by_name", "name", "number"),
    [
        ("DEBUG", {}, "alembic.runtime.migration", 30),
        ("DEBUG", {}, "redis.client", 20),
        ("DEBUG", {"t": "ERROR"}, "redis", 20),
        ("ERROR", {}, "redis", 40),
        ("ERROR", {}, "alembic.runtime.migration", 40),
        ("INFO", {"alembic": "DEBUG"}, "alembic.runtime.migration", 10),
        ("INFO", {"alembic.runtime": "ERROR"}, "alembic.runtime.plugins", 40),
        ("INFO", {"redis": "DEBUG"}, "redis.client", 10),
        ("DEBUG", {"redis.client": "DEBUG"}, "redis.connection", 20),
        ("DEBUG", {"red": "DEBUG"}, "redis", 20),
    ],
)
def test_chatty_loggers_are_quiet_unless_a_user_says_otherwise(
    base: str, by_name: dict[str, str], name: str, number: int
) -> None:
    """They are never shown below the lowest level, and one's own level of them or of a logger above them counts."""
    assert Levels(base, by_name).of(name) == number


def test_a_level_at_run_time_counts_for_the_chatty_too() -> None:
    """They follow the lowest level upwards only, until one of their own is set."""
    levels = Levels("DEBUG", {})
    levels.set("ERROR")
    assert levels.of("redis") == 40
    levels.set("DEBUG")
    assert levels.of("redis") == 20
    levels.set("DEBUG", "redis")
    assert (levels.of("redis"), levels.numbers["redis"]) == (10, 10)


def test_levels_have_one_spelling() -> None:
    """Small letters are right, a number or another word is not."""
    assert number_of("success") == 25
    with pytest.raises(ValueError, match="log-level-unknown"):
        number_of("17")
