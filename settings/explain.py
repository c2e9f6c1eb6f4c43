"""From what pydantic says of a value to a problem: a stable code, the cause and a fix to paste."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from settings.fields import choices_of, is_secret, is_sensitive, is_url, kind_of, parts_of
from settings.near_misses import nearest
from settings.problems import MASK, Problem, mask_url, mask_urls, url_secrets

_CODES = {"missing": "missing-value", "literal_error": "unknown-choice", "enum": "unknown-choice",
          "string_too_short": "too-short", "string_too_long": "too-long", "extra_forbidden": "unknown-field",
          "string_unicode": "invalid-character", "value_error": "invalid-value"}  # fmt: skip
_PLAIN = (
    r"(int|float|bool|path|finite|string|decimal|date|datetime|time|time_delta|timezone|uuid|bytes|list|dict|model)_"
    r"|ip_|too_(short|long)$"
)
"""Kinds of pydantic's that say no more than what a value is not."""
_INNOCENT = r"[+-]?[\d.,_:]{1,16}\s?[A-Za-z%]{0,8}|[A-Za-z][A-Za-z_ -]{0,19}"
"""What may be shown of a wrong value: a number with a unit, or a word. Neither is a password's shape."""


def innocent(value: object) -> str:
    """Return a wrong value in quotes when no secret can be in it, else the words `the value`."""
    text = value if isinstance(value, str) else ""
    return repr(text) if re.fullmatch(_INNOCENT, text) else "the value"


def shown(value: object, *, secret: bool = False, url: bool = False) -> str:
    """Return a setting's value as a person may see it, written as in a `.env` file.

    Args:
        value: The value.
        secret: Whether it must not be shown.
        url: Whether it is a URL, of which only the secret parts are hidden; a token that looks like one is none.
    """
    if value is None or (isinstance(value, str) and not value):
        return ""
    masked = hasattr(value, "get_secret_value")
    text = str(value.get_secret_value()) if masked else value  # type: ignore[attr-defined] # looked for above
    if secret or masked:
        return mask_url(text) if url and isinstance(text, str) and "://" in text else MASK
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return ",".join(f"{name}={_shown_field(name, info, getattr(value, name))}" for name, info in fields)
    if isinstance(value, Mapping):
        return ",".join(f"{name}={shown(each, secret=is_sensitive(str(name)))}" for name, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(shown(each) for each in value)
    return _shown_plain(value)


def _shown_field(name: str, info: FieldInfo, value: object) -> str:
    return shown(value, secret=is_secret(name, info), url=is_url(name))


def _shown_plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return f"{value:g}"
    text = str(value)
    return mask_url(text) if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) else mask_urls(text)


def secrets_in(field: str, info: FieldInfo, value: object) -> set[str]:
    """Return every text within a field's value that must not be shown, and of URLs their passwords."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return {each for name, inner in fields for each in secrets_in(name, inner, getattr(value, name))}
    texts, url = set(_texts(value, secret=is_secret(field, info))), is_url(field)
    whole = {text for text, secret in texts if secret and not url}
    return whole | {each for text, secret in texts if secret or "://" in text for each in url_secrets(text)}


def _texts(value: object, *, secret: bool) -> Iterator[tuple[str, bool]]:
    """Yield each text within a value, and whether it is a secret as a whole."""
    if hasattr(value, "get_secret_value"):
        yield str(value.get_secret_value()), True
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(each, secret=secret or is_sensitive(str(name)))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _texts(each, secret=secret)
    elif isinstance(value, bytes):
        yield value.decode(errors="replace"), secret
    elif value is not None and not isinstance(value, bool | int | float):
        yield str(value), secret


def explained(variable: str, info: FieldInfo | None, detail: ErrorDetails, *, secret: bool = False) -> Problem:
    """Return the problem that pydantic found with a variable's value.

    Args:
        variable: The variable's name, or the model's.
        info: The field; None when it is the model as a whole.
        detail: What pydantic says.
        secret: Whether nothing of the value may be shown; else it is when it is innocent.
    """
    context, kind = detail.get("ctx", {}), detail["type"]
    if "fix" in context and "message" in context:
        return Problem(variable, "error", kind, str(context["message"]), str(context["fix"]))
    said = mask_urls(_lowered(detail["msg"]))
    if info is None:
        return Problem(variable, "error", _code(kind), said, "mend it as the message says")
    wanted, given = kind_of(info), "the value" if secret else innocent(detail.get("input"))
    if kind == "missing" and len(detail["loc"]) == 1:
        return Problem(variable, "error", "missing-value", "it is not set and has no default", f"set it to {wanted}")
    fix = f"set it to {wanted}{'' if secret else _such_as(variable, info)}"
    if place := _place(info, detail):
        return Problem(variable, "error", _code(kind), f"{place}: {said}", fix)
    if _code(kind) == "unknown-choice":
        return _unknown_choice(variable, choices_of(info), given, detail.get("input"))
    if _code(kind) == "out-of-range" or re.match(_PLAIN, kind):
        return Problem(variable, "error", _code(kind), f"{given} is not {wanted}{_because(kind)}", fix)
    return Problem(variable, "error", _code(kind), said, fix)


def _place(info: FieldInfo, detail: ErrorDetails) -> str:
    """Return which part of a list or a mapping is wrong; of a union pydantic names the members, which are no parts."""
    inside = detail["loc"][1:] if len(parts_of(info)) == 1 else ()
    return ", ".join(f"entry {each + 1}" if isinstance(each, int) else innocent(each) for each in inside)


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


def _unknown_choice(variable: str, choices: list[str], given: str, value: object) -> Problem:
    text = value.lower() if isinstance(value, str) else ""
    folded = {each.lower(): each for each in choices}
    begun = [each for low, each in folded.items() if len(text) >= 3 and low.startswith(text)]
    close = begun[0] if begun else folded.get(nearest(text, folded, most=2) or "")
    message = f"{given} is none of {', '.join(choices)}"
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
               "too_short": ": it is too short", "too_long": ": it is too long",
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
    return text if text[1:2].isupper() else text[0].lower() + text[1:]
