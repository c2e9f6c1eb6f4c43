"""The JSON of events."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.websocket.envelope import (
    MAX_EVENT_CHARACTERS,
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    RefusedError,
    encode_payload,
    make_encoder,
    message,
    parse,
)

payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(), payloads, st.text())
def test_what_is_sent_can_be_read(event: str, payload: object, app: str) -> None:
    """Any event comes out of its message as it went in."""
    text = message(event, encode_payload(payload), app=app, at=1.25)
    assert json.loads(text) == {"event": event, "payload": payload, "app": app, "at": 1.25}
    assert parse(text) == (event, payload)
    assert text.isascii()


@given(st.binary() | st.text() | payloads.map(json.dumps))
def test_whatever_comes_in_is_an_event_or_nothing(text: str | bytes) -> None:
    """Parsing raises nothing, and gives events only."""
    found = parse(text)
    assert found is None or isinstance(found[0], str)


def test_the_longest_message_is_within_the_limit() -> None:
    """A gateway with the usual limit of 1 MiB takes the longest names, escaped, around the longest payload."""
    payload = encode_payload("x" * (MAX_PAYLOAD_BYTES - 2))
    text = message("\U0001f600" * MAX_EVENT_CHARACTERS, payload, app="\U0001f600" * 63, at=9_999_999_999.0)
    assert MAX_MESSAGE_BYTES - 500 < len(text) <= MAX_MESSAGE_BYTES


class Hostile(dict[str, object]):
    """A payload whose own code fails."""

    def items(self) -> object:  # type: ignore[override] # that it is wrong is the point
        """Fail."""
        raise KeyError("secret of the payload")

    def __iter__(self) -> Iterator[str]:
        raise KeyError("secret of the payload")


def itself() -> list[object]:
    """Return a list that holds itself."""
    found: list[object] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"at": datetime.now(UTC)}, "it holds a datetime, which JSON does not know"),
        (b"bytes", "it holds a bytes, which JSON does not know"),
        ({1, 2}, "it holds a set, which JSON does not know"),
        (object(), "it holds a object, which JSON does not know"),
        (math.nan, "a number that JSON has not"),
        ([math.inf], "a number that JSON has not"),
        ({"n": 10**5000}, "a number that JSON has not"),
        ({(1, 2): 3}, "a key of one of its dicts is not a text"),
        (itself(), "nested too deeply, or refers to itself"),
        ("x" * MAX_PAYLOAD_BYTES, "more than 1044480"),
        (Hostile(a=1), "reading it raised KeyError"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 80 else "",
)
def test_what_json_cannot_hold_is_refused_with_a_reason(payload: object, reason: str) -> None:
    """The reason names what is wrong and nothing of the payload's own text."""
    with pytest.raises(RefusedError, match=reason) as refused:
        encode_payload(payload)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(payloads)
def test_the_encoder_in_python_writes_the_same(payload: object) -> None:
    """Without the C encoder of CPython the text is the same."""
    assert "".join(make_encoder(None)(payload)) == encode_payload(payload)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "1",
        "{}",
        '{"event": 1}',
        '{"event": null}',
        b"\xff\xfe",
        "[" * 100_000,
        "1" * 5000,
        b"\x00" * 9,
    ],
    ids=range(11),
)
def test_what_is_no_event_is_none(text: str | bytes) -> None:
    """No garbage raises, however deep or long."""
    assert parse(text) is None
