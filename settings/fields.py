"""What a field of a settings model may hold: its types, its words for people, and how its text is read."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_SENSITIVE = r"(?i)(secret|token|passw|pwd|credential|private_key|api_?key|access_?key)"
_LISTS = (list, tuple, set, frozenset)
_SEPARATED = ", separated by commas"
_KINDS: Mapping[str, str] = {
    "int": "a whole number", "float": "a number", "Decimal": "a number", "bool": "true or false", "str": "text",
    "Path": "a path", "SecretStr": "a secret text", "SecretBytes": "a secret text", "date": "a date such as 2031-12-24",
    "datetime": "a date and time such as 2031-12-24T18:30:00Z", "time": "a time such as 18:30",
    "timedelta": "a duration such as 0:00:30", "UUID": "a UUID", "IPv4Address": "an IPv4 address",
    "IPv6Address": "an IPv6 address",
}  # fmt: skip


def parts_of(info: FieldInfo) -> list[Any]:
    """Return the types of which a field is one, without None: `[int]` for `int | None`."""
    annotation = info.annotation
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    members = [each for each in get_args(annotation) if each is not NoneType]
    return [get_args(each)[0] if get_origin(each) is Annotated else each for each in members]


def _every_type(kind: object) -> Iterator[object]:
    """Yield a type and every type within it: `list` and `str` for `list[str]`."""
    yield get_origin(kind) or kind
    if get_origin(kind) is not Literal:
        for each in get_args(kind):
            yield from _every_type(each)


def is_sensitive(name: str) -> bool:
    """Say whether a name is that of a secret."""
    return re.search(_SENSITIVE, name) is not None


def is_secret(field: str, info: FieldInfo) -> bool:
    """Say whether a field's value must not be shown: by its type, or, of what holds text, by its name."""
    kinds = list(_every_type(info.annotation))
    if any(hasattr(each, "get_secret_value") for each in kinds):
        return True
    return is_sensitive(field) and any(each in (str, bytes) for each in kinds)


def is_url(field: str) -> bool:
    """Say by a field's name whether its value is a URL."""
    return re.search(r"(^|_)(url|uri|dsn)$", field) is not None


def _choices(kind: object) -> list[object]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [each.value for each in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def choices_of(info: FieldInfo) -> list[str]:
    """Return what a field may be, when only certain words are allowed."""
    return [str(choice) for each in parts_of(info) for choice in _choices(each)]


def kind_of(info: FieldInfo) -> str:
    """Return a field's type and bounds in words: `a whole number from 1 to 1000`."""
    words = choices_of(info) or [_kind_of_type(each) for each in parts_of(info)]
    words = ["a URL"] if "://" in str(info.examples or "") else words
    bounds = {
        name: getattr(each, name)
        for each in info.metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
        if getattr(each, name, None) is not None
    }
    if _SEPARATED in words[0]:
        return words[0].replace(_SEPARATED, f"{_length(bounds, 'entries')}{_SEPARATED}")
    return f"{listed(words)}{_range(bounds)}{_length(bounds, 'characters')}"


def _range(bounds: Mapping[str, Any]) -> str:
    if "ge" in bounds and "le" in bounds:
        return f" from {_number(bounds['ge'])} to {_number(bounds['le'])}"
    names = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [
        f"{names[name]} {_number(value)}"
        for name, value in bounds.items()
        if name in names and isinstance(value, int | float)
    ]
    return f" {' and '.join(limits)}" if limits else ""


def _length(bounds: Mapping[str, Any], unit: str) -> str:
    least, most = bounds.get("min_length", 0), bounds.get("max_length")
    words = [f"at least {least}"] if least > 1 else []
    words += [f"at most {most}"] if most is not None else []
    found = f" of {most if least == most else ' and '.join(words)} {unit}" if words else ""
    return f"{found} that matches {bounds['pattern']}" if "pattern" in bounds else found


def _number(value: float) -> str:
    """Return a bound as people write it: 1000000, not 1e+06."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _kind_of_type(kind: object) -> str:
    base = get_origin(kind) or kind
    inner = [_kind_of_type(each) for each in get_args(kind) if each is not ...]
    each = f", each {inner[-1]}" if inner and inner[-1] != "text" else ""
    if base in _LISTS:
        return f"a list{_SEPARATED}{each}"
    if isinstance(base, type) and issubclass(base, Mapping):
        return f"name=value pairs{_SEPARATED}{each}"
    if isinstance(base, type) and issubclass(base, BaseModel):
        return f"a JSON object of {', '.join(base.model_fields)}"
    name = getattr(base, "__name__", "")
    return "a URL" if name.endswith(("Url", "Dsn")) else _KINDS.get(name, "text")


def listed(words: list[str]) -> str:
    """Return words as an enumeration: `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def decoded(text: str, info: FieldInfo) -> object:
    """Return the value that a text means to a field: a list or pairs, from JSON or from words between commas.

    What cannot be read so stays the text, and the model says what is wrong with it.
    """
    kind = parts_of(info)[0]
    base = get_origin(kind) or kind
    many = isinstance(base, type) and issubclass(base, (*_LISTS, Mapping, BaseModel))
    if many and text[0] in "[{":
        import json  # costs, and is needed for such a text only

        with suppress(ValueError, RecursionError):
            return json.loads(text)
    if base in _LISTS:
        return _words(text)
    if many and issubclass(base, Mapping):
        return _pairs(text)
    return next((each for each in _choices(kind) if _same(each, text)), text)


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _pairs(text: str) -> object:
    pairs = [each.partition("=") for each in _words(text)]
    whole = all(name.strip() and mark for name, mark, _ in pairs)
    return {name.strip(): value.strip() for name, _, value in pairs} if whole else text


def _same(choice: object, text: str) -> bool:
    """Say whether a text means a choice that is no text itself: 3, or true."""
    return not isinstance(choice, str) and str(choice).lower() == text.lower()
