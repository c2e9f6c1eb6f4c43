"""What both databases can hold."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.database.storable import storable, storable_number, storable_text

TEXTS = st.text(st.characters(codec=None))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(TEXTS, st.integers(0, 20))
def test_a_text_is_utf_8_without_nul(text: str, length: int) -> None:
    """Any text becomes one of the same length, at most, that can be encoded; a clean one stays as it is."""
    found = storable_text(text, length)
    assert len(found) == min(len(text), length)
    assert "\0" not in found
    assert storable_text(found.encode().decode()) == found


@given(JSON)
def test_anything_becomes_strict_json(value: object) -> None:
    """Any value becomes one that strict JSON and UTF-8 can say, and that is left as it is the second time."""
    found = storable(value)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    assert storable(found) == found


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("1.5"), "1.5"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        ("a\0b\ud800", "a?b?"),
        ({1: {2}}, {"1": [2]}),
    ],
)
def test_what_json_does_not_know_becomes_its_text(value: object, kept: object) -> None:
    """A number that is none becomes nothing, anything else what it is for people."""
    assert storable(value) == kept


def test_a_number_that_is_none_is_left_out() -> None:
    """Neither infinity nor what is no number can be kept."""
    assert [storable_number(each) for each in (None, 1.5, float("inf"), float("nan"))] == [None, 1.5, None, None]
