"""A record as a line: text for people, JSON for machines. What is in it is masked and harmless."""

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from settings.logs.chain import chain_of
from settings.logs.context import current_fields
from settings.logs.masking import Masker, harmless, text_of

Record = Mapping[str, Any]
_MOST_FRAMES = 100
"""Frames of one exception in JSON; beyond it the middle ones are left out, and counted."""
_MOST_ERRORS = 20
_STRUCTURED = (int, float, Mapping, list, tuple, set, frozenset)


def moment(seconds: float) -> str:
    """Return a moment in seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(record: Record) -> str:
    return moment(record["time"].timestamp())


def _bound(record: Record) -> dict[str, object]:
    """Return the fields of the context and of the record that have a value."""
    found = {**current_fields(), **record["extra"]}
    known = {name: value if isinstance(value, _STRUCTURED) else text_of(value)
             for name, value in found.items() if value is not None}  # fmt: skip
    return {name: value for name, value in known.items() if value != "" and name != "fingerprint"}


class TextLines:
    """Makes `2026-11-25T02:33:06.123Z ERROR shop/production[4242] shop.views:17 - message  request_id=… method=GET`.

    A traceback follows in lines of its own, each indented, so that none can pass for a record.
    """

    def __init__(self, app_name: str, environment: str, masker: Masker) -> None:
        self._service, self._masker = harmless(f"{app_name}/{environment}"), masker

    def __call__(self, record: Record) -> str:
        """Return the record with its traceback; ends with a newline."""
        masker = self._masker
        where = harmless(masker(f"{record['name']}:{record['line']}" if record["line"] else record["name"]))
        head = f"{_time(record)} {record['level'].name:<8} {self._service}[{record['process'].id}] {where}"
        fields = "".join(
            f" {masker(text_of(name))}={_brief(masker.plain(value))}" for name, value in _bound(record).items()
        )
        message = harmless(masker(record["message"]))
        return "\n".join([f"{head} - {message}{' ' if fields else ''}{harmless(fields)}", *self._trace(record), ""])

    def _trace(self, record: Record) -> Iterator[str]:
        if (found := record["exception"]) is not None and found.type is not None:
            text = "".join(traceback.format_exception(found.type, found.value, found.traceback))
            for line in self._masker(text).rstrip("\n").split("\n"):
                yield f"    {harmless(line)}"


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=') else text


class JsonLines:
    """Makes one JSON object a line; the README has its schema."""

    def __init__(self, app_name: str, environment: str, masker: Masker) -> None:
        self._service, self._masker = {"app": app_name, "environment": environment}, masker

    def __call__(self, record: Record) -> str:
        """Return the record; ends with a newline."""
        bound = _bound(record)
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record["level"].name,
            "message": self._masker(record["message"]),
            "logger": self._masker(record["name"] or ""),
            "function": record["function"],
            "line": record["line"],
            **self._service,
            "pid": record["process"].id,
            "thread": self._masker(record["thread"].name),
        }
        line |= {name: self._masker(text_of(bound.pop(name))) for name in REQUEST_FIELDS if name in bound}
        line |= {name: self._masker.plain(record[name]) for name in ("fingerprint", "repeated") if record.get(name)}
        if bound:
            line["extra"] = self._masker.plain(bound)
        if (found := record["exception"]) is not None and found.value is not None:
            line["exception"] = [self._error(each) for each in chain_of(found.value, _MOST_ERRORS)]
        return json.dumps(line, default=text_of) + "\n"

    def _error(self, error: BaseException) -> dict[str, Any]:
        """Return type, text and frames of one exception; the outermost frame comes first."""
        frames = traceback.extract_tb(error.__traceback__)
        found: dict[str, Any] = {
            "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
            "message": self._masker(text_of(error)),
            "frames": [self._frame(frame) for frame in _ends(frames)],
        }
        if len(frames) > _MOST_FRAMES:
            found["frames_left_out"] = len(frames) - _MOST_FRAMES
        if notes := getattr(error, "__notes__", None):
            found["notes"] = [self._masker(text_of(note)) for note in notes]
        return found

    def _frame(self, frame: traceback.FrameSummary) -> dict[str, Any]:
        code = self._masker(frame.line or "")
        return {"file": frame.filename, "line": frame.lineno, "function": frame.name, "code": code}


REQUEST_FIELDS = ("request_id", "method", "path", "endpoint", "worker")
Lines = Callable[[Record], str]


def _ends(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    if len(frames) <= _MOST_FRAMES:
        return list(frames)
    return [*frames[: _MOST_FRAMES // 4], *frames[-(_MOST_FRAMES - _MOST_FRAMES // 4) :]]
