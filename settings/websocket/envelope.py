"""The JSON of events, both ways: `{"event": …, "payload": …, "app": …, "at": …}`."""

import json
from collections.abc import Callable, Iterable
from json import encoder
from json.encoder import encode_basestring_ascii as encode_text
from typing import Any, NoReturn

MAX_MESSAGE_BYTES = 2**20
"""The longest message, in and out; a longer one is refused by us going out, and ends the connection coming in."""

MAX_EVENT_CHARACTERS = 255
"""The longest name of an event."""

MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 4096
"""The longest payload, as JSON: the rest is room for the longest names of event and application, escaped, and time."""


class RefusedError(ValueError):
    """An event cannot be sent; the text is the reason, without any part of the payload."""


def encode_payload(payload: object) -> str:
    """Return `payload` as compact ASCII JSON.

    Raises:
        RefusedError: It is not made of dicts, lists, text, numbers (no NaN, no infinity), booleans and None, refers to
            itself, is nested too deeply, or is longer than MAX_PAYLOAD_BYTES.
    """
    try:
        text = "".join(_encode(payload))
    except RefusedError:
        raise
    except Exception as error:  # noqa: BLE001 - a payload may be any object, and its own code may raise anything
        raise RefusedError(_reason(error)) from None
    if len(text) > MAX_PAYLOAD_BYTES:
        raise RefusedError(f"it has {len(text)} bytes as JSON, more than {MAX_PAYLOAD_BYTES}")
    return text


def message(event: str, payload: str, *, app: str, at: float) -> str:
    """Return the text of one message.

    Args:
        event: The event's name.
        payload: The payload, as JSON already.
        app: APP_NAME of the sender.
        at: When the event was handed over, in seconds since the epoch.
    """
    return f'{{"event":{json.dumps(event)},"payload":{payload},"app":{json.dumps(app)},"at":{at:.3f}}}'


def parse(text: str | bytes) -> tuple[str, object] | None:
    """Return name and payload of a message that came in, or None when it is no event.

    An event is a JSON object with a text at `event`; `payload` may be missing, everything else is left alone.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("event"), str):
        return None
    return found["event"], found.get("payload")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or refers to itself"
    if isinstance(error, ValueError):
        return "it holds a number that JSON has not (NaN, infinity, or one too long)"
    if isinstance(error, TypeError):
        return "a key of one of its dicts is not a text, a number, a boolean or None"
    return f"reading it raised {type(error).__name__}"


def _no_json(value: object) -> NoReturn:
    raise RefusedError(f"it holds a {type(value).__name__}, which JSON does not know")


def make_encoder(make: Callable[..., Any] | None) -> Callable[[object], Iterable[str]]:
    """Return what encodes a payload piece by piece.

    Args:
        make: The C encoder of `json`, which is made once here: `json.dumps` makes one for each call, and that
            costs more than the encoding. None, as in other Pythons than CPython: the encoder in Python.
    """
    if make is None:
        return json.JSONEncoder(default=_no_json, separators=(",", ":"), allow_nan=False).iterencode
    markers, indent, sort_keys, skip_keys, allow_nan = None, None, False, False, False
    encode = make(markers, _no_json, encode_text, indent, ":", ",", sort_keys, skip_keys, allow_nan)
    return lambda payload: encode(payload, 0)


_encode = make_encoder(getattr(encoder, "c_make_encoder", None))
