"""Numbers and moments as people read them."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.status.words import (
    SPARK_HEIGHT,
    SPARK_WIDTH,
    ago,
    clock,
    due,
    fact,
    iso,
    legible,
    number,
    span,
    spark_points,
    spark_words,
    took,
    utc,
)  # fmt: skip

AT = 1795573800.0


@given(st.text(st.characters(codec=None)))
def test_legible_text_only_lies_there(text: str) -> None:
    """Whatever came in, what comes out can be encoded, holds no control character, and stays as it is from then on."""
    found = legible(text)
    found.encode()
    assert not [each for each in found if category(each) in ("Cc", "Cs") and each not in "\t\n"]
    assert legible(found) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Zoë\n\tpaid 3\u202f000 € 🙂", "Zoë\n\tpaid 3\u202f000 € 🙂"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b2J\x7f\r", r"\x9b2J\x7f\r"),
        ("all \u202e well", r"all \u202e well"),
        ("\ud800", r"\ud800"),
    ],
)
def test_legible(text: str, words: str) -> None:
    """Letters, lines and tabs stay; what moves a cursor, turns a line round or is half a letter is written out."""
    assert legible(text) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 day"), (200000, "2 days")],
)
def test_span(seconds: float, words: str) -> None:
    """A length of time is told in its greatest unit."""
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [(None, "never"), (AT, "just now"), (AT - 90, "1 min ago"), (AT + 8, "in 8 s")],
)
def test_ago(moment: float | None, words: str) -> None:
    """A moment is told from now, in both directions."""
    assert ago(moment, AT) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [(None, "never"), (AT + 8, "in 8 s"), (AT + 0.5, "now"), (AT - 14, "now"), (AT - 840, "overdue by 14 min")],
)
def test_due(moment: float | None, words: str) -> None:
    """What is to happen is ahead, now, or has not happened in time."""
    assert due(moment, AT) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.00002, "<0.1 ms"), (0.0004, "0.4 ms"), (0.12, "120 ms"), (1.24, "1.2 s"), (840, "14 min")],
)
def test_took(seconds: float | None, words: str) -> None:
    """A duration has two or three digits."""
    assert took(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        ("redis", "redis"),
        (12345, "12\u202f345"),
        (0.25, "0.25"),
        (1234.5, "1\u202f234"),
    ],
)
def test_fact(value: str | float | bool | None, words: str) -> None:
    """A figure is told without needless digits."""
    assert fact(value) == words


def test_moments_are_in_utc() -> None:
    """Date, time of day and the machine's form are those of UTC."""
    assert (utc(AT), clock(AT), iso(AT)) == ("2026-11-25 02:30:00 UTC", "02:30:00 UTC", "2026-11-25T02:30:00Z")


@pytest.mark.parametrize("moment", [None, 1e20, -1e20, float("inf"), float("nan")])
def test_a_moment_beyond_every_calendar_is_left_out(moment: float | None) -> None:
    """A clock that is far off does not break the page."""
    assert (utc(moment), clock(moment), iso(moment)) == ("", "", "")


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=40))
def test_a_sparkline_stays_in_its_box(values: list[float]) -> None:
    """Whatever the values, every point lies inside, from left to right."""
    points = [tuple(map(float, each.split(","))) for each in spark_points(values).split()]
    assert len(points) == len(values)
    assert all(0 <= x <= SPARK_WIDTH and 0 <= y <= SPARK_HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_a_sparkline_speaks() -> None:
    """Its words say what its line shows; a single value draws nothing."""
    assert spark_points([1.0]) == ""
    assert spark_words([0.4, 120.0]) == "latency of the last 2 checks: 0.4 ms to 120 ms"
    assert number(1.0) == "1"
