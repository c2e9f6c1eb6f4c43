"""From what pydantic says of a value to a problem: a stable code, the cause and a fix to paste."""

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from settings.near_misses import nearest
from settings.problems import MASK, Problem, mask_url, mask_urls

_SENSITIVE = r"(?i)(secret|token|passw|pwd|credential|private_key|api_?key|access_?key)"
_KINDS: Mapping[object, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path",
    SecretStr: "a secret text",
}  # fmt: skip
_CODES = {"missing": "missing-value", "literal_error": "unknown-choice", "enum": "unknown-choice",
          "string_too_short": "too-short", "string_too_long": "too-long", "extra_forbidden": "unknown-field",
          "string_unicode": "invalid-character", "value_error": "invalid-value"}  # fmt: skip
_INNOCENT = r"[+-]?[\d.,_:]{1,16}\s?[A-Za-z%]{0,8}|[A-Za-z][A-Za-z_ -]{0,19}"
"""What may be shown of a wrong value: a number with a unit, or a word. Neither is a password's shape."""


def innocent(value: object) -> str:
    """Return a wrong value in quotes when no secret can be in it, else the words `the value`."""
    text = value if isinstance(value, str) else ""
    return repr(text) if re.fullmatch(_INNOCENT, text) else "the value"


def parts_of(info: FieldInfo) -> list[Any]:
    """Return the types of a field without None: `[int]` for `int | None`."""
    annotation = info.annotation
    members = get_args(annotation) if get_origin(annotation) not in (None, Literal) else ()
    return [each for each in members if each is not NoneType] if NoneType in members else [annotation]


def is_secret(field: str, info: FieldInfo) -> bool:
    """Say whether a field's value must not be shown: by its type, or by its name."""
    types = parts_of(info)
    return SecretStr in types or (str in types and re.search(_SENSITIVE, field) is not None)


def is_url(field: str) -> bool:
    """Say by a field's name whether its value is a URL."""
    return re.search(r"(^|_)(url|uri|dsn)$", field) is not None


def choices_of(info: FieldInfo) -> list[str]:
    """Return what a field may be, when only certain words are allowed."""
    found: list[str] = []
    for each in parts_of(info):
        if get_origin(each) is Literal:
            found += [str(choice) for choice in get_args(each)]
        elif isinstance(each, type) and issubclass(each, Enum):
            found += [str(member.value) for member in each]
    return found


def kind_of(info: FieldInfo) -> str:
    """Return a field's type and bounds in words: `a whole number from 1 to 1000`."""
    words = choices_of(info) or [_kind_of_type(each) for each in parts_of(info)]
    words = ["a URL"] if "://" in str(info.examples or "") else words
    bounds = {
        name: getattr(each, name) for each in info.metadata for name in ("ge", "gt", "le", "lt") if hasattr(each, name)
    }
    if "ge" in bounds and "le" in bounds:
        return f"{_listed(words)} from {_number(bounds['ge'])} to {_number(bounds['le'])}"
    names = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{names[name]} {_number(value)}" for name, value in bounds.items() if isinstance(value, int | float)]
    return " ".join([_listed(words), " and ".join(limits)]).strip()


def _number(value: float) -> str:
    """Return a bound as people write it: 1000000, not 1e+06."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _kind_of_type(kind: object) -> str:
    base = get_origin(kind) or kind
    if base in (list, tuple, set, frozenset):
        return "a list, separated by commas"
    if isinstance(base, type) and issubclass(base, Mapping):
        return "name=value pairs, separated by commas"
    return _KINDS.get(base, "text")


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def shown(value: object, *, secret: bool = False, url: bool = False) -> str:
    """Return a setting's value as a person may see it, written as in a `.env` file.

    Args:
        value: The value.
        secret: Whether it must not be shown.
        url: Whether it is a URL, of which only the secret parts are hidden; a token that looks like one is none.
    """
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return mask_url(text) if url and "://" in text else MASK
    if value is None or value == "":
        return ""
    if secret:
        return mask_url(value) if url and isinstance(value, str) and "://" in value else MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{name}={shown(each)}" for name, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(shown(each) for each in value)
    if isinstance(value, Enum):
        return str(value.value)
    return mask_urls(
        f"{value:g}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else str(value)
    )


def explained(variable: str, info: FieldInfo | None, detail: ErrorDetails) -> Problem:
    """Return the problem that pydantic found with a variable's value; the value is shown when it is innocent."""
    context, kind = detail.get("ctx", {}), detail["type"]
    if "fix" in context and "message" in context:
        return Problem(variable, "error", kind, str(context["message"]), str(context["fix"]))
    if info is None:
        return Problem(variable, "error", _code(kind), _lowered(detail["msg"]), "mend it as the message says")
    wanted, given = kind_of(info), innocent(detail.get("input"))
    if kind == "missing":
        return Problem(variable, "error", "missing-value", "it is not set and has no default", f"set it to {wanted}")
    if _code(kind) == "unknown-choice":
        return _unknown_choice(variable, choices_of(info), detail.get("input"))
    fix = f"set it to {wanted}{_such_as(variable, info)}"
    if _code(kind) == "out-of-range":
        return Problem(variable, "error", "out-of-range", f"{given} is not {wanted}", fix)
    if kind.partition("_")[0] in ("int", "float", "bool", "path", "finite", "string"):
        return Problem(variable, "error", _code(kind), f"{given} is not {wanted}{_because(kind)}", fix)
    return Problem(variable, "error", _code(kind), mask_urls(_lowered(detail["msg"])), fix)


def surprised(model: str, error: Exception) -> Problem:
    """Return the problem of a model whose own check failed with something other than a ValueError.

    The error's words are not shown: they may hold the value that it stumbled over.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace is not None else ""
    message = f"a check of this model raised {type(error).__name__}{where}"
    return Problem(model, "error", "failed-check", message, "let it raise ValueError for a value that it refuses")


def _unknown_choice(variable: str, choices: list[str], given: object) -> Problem:
    text = given.lower() if isinstance(given, str) else ""
    folded = {each.lower(): each for each in choices}
    begun = [each for low, each in folded.items() if len(text) >= 3 and low.startswith(text)]
    close = begun[0] if begun else folded.get(nearest(text, folded, most=2) or "")
    message = f"{innocent(given)} is none of {', '.join(choices)}"
    return Problem(
        variable,
        "error",
        "unknown-choice",
        message,
        f"set {variable}={close}" if close else f"set {variable} to one of these",
    )


def _such_as(variable: str, info: FieldInfo) -> str:
    default = info.get_default(call_default_factory=False)
    example = next(iter(info.examples or []), default)
    return f", such as {variable}={shown(example)}" if isinstance(example, str | int | float) and example != "" else ""


def _because(kind: str) -> str:
    reasons = {"string_too_short": ": it is too short", "string_too_long": ": it is too long",
               "string_unicode": ": it is not valid Unicode", "finite_number": ": it is not finite"}  # fmt: skip
    return reasons.get(kind, "")


def _code(kind: str) -> str:
    if kind.startswith(("greater_than", "less_than")):
        return "out-of-range"
    if kind.partition("_")[0] in ("int", "float", "bool", "finite", "path"):
        return "invalid-value"
    return _CODES.get(kind, kind.replace("_", "-"))


def _lowered(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ") or "it cannot be used"
    return text[0].lower() + text[1:]
