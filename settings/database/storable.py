"""What both databases can hold of texts, numbers and objects that come from anywhere."""

from collections.abc import Mapping
from math import isfinite
from typing import Any


def storable_text(text: str, length: int | None = None) -> str:
    """Return a text, cut to `length` characters, with a NUL and half a surrogate pair replaced by `?`."""
    return text.replace("\0", "?").encode(errors="replace").decode()[:length]


def storable_number(number: float | None) -> float | None:
    """Return a number, or None for one that is not finite."""
    return number if number is not None and isfinite(number) else None


def storable(value: object) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Return a copy of a value that both databases can keep as JSON; another object is kept as its text."""
    if isinstance(value, Mapping):
        return {storable_text(str(name)): storable(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [storable(each) for each in value]
    if isinstance(value, float):
        return storable_number(value)
    return value if value is None or isinstance(value, (bool, int)) else storable_text(str(value))
