"""What both databases can hold."""

import json

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


def test_an_object_is_kept_as_its_text() -> None:
    """What JSON has no word for is kept as text; a number that is not finite is none."""
    assert storable({1: {2}, "path": ValueError("x")}) == {"1": [2], "path": "x"}
    assert [storable_number(each) for each in (None, 1.5, float("inf"))] == [None, 1.5, None]
