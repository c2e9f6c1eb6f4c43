"""The rows that the pages show, read alike from the rooms' own objects and from the JSON of a snapshot."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from settings.probe import Fact
from settings.status.words import legible

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is in one process; `status` is a value of HealthStatus, moments are in seconds since 1970."""

    name: str
    status: str
    since: float | None = None
    checked_at: float | None = None
    latency_ms: float | None = None
    detail: str = ""
    code: str = ""
    cause: str = ""
    fix: str = ""
    critical: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)
    latencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """How a job is doing in one process."""

    name: str
    schedule: str = ""
    once: bool = True
    state: str = "idle"
    runs: int = 0
    failures: int = 0
    last_started: float | None = None
    last_duration_seconds: float | None = None
    last_outcome: str = ""
    last_error: str = ""
    next_run: float | None = None
    owner: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RepeatedError:
    """An error that one process has seen, with its counts since the process began."""

    fingerprint: str
    seen: int = 0
    suppressed: int = 0
    first_seen: float | None = None
    last_seen: float | None = None
    example: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of performance_alerts."""

    id: int
    alert_type: str = ""
    severity: str = "low"
    title: str = ""
    description: str | None = ""
    endpoint: str = ""
    service_name: str = ""
    metric_value: float | None = None
    threshold_value: float | None = None
    status: str = "active"
    acknowledged_by: str | None = None
    acknowledged_at: float | None = None
    first_occurrence: float | None = None
    last_occurrence: float | None = None
    occurrence_count: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one serving process wrote about itself."""

    process: str
    host: str = ""
    pid: int = 0
    written_at: float | None = None
    body: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BootRow:
    """One step of the boot of this process."""

    name: str
    status: str = "ok"
    detail: str = ""
    milliseconds: float = 0.0


def read(kind: type[Row], source: object) -> Row:
    """Return a row from an object with these attributes, or from a mapping with these keys.

    What an optional field's source lacks gets the field's default; what else the source has is left out. Texts,
    which users of the application can write, come out legible; moments are seconds since 1970, whatever the source has.

    Raises:
        AttributeError: A field without default is missing.
        ValueError: The source has something of another kind there, as a process of another release may.
    """
    found: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type] # the rows above are dataclasses, which TypeVar cannot say
        value = source.get(each.name, MISSING) if isinstance(source, Mapping) else getattr(source, each.name, MISSING)
        if value is not MISSING:
            found[each.name] = _converted(each.name, _READERS[each.type], value)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise AttributeError(f"a row for {kind.__name__} has no {each.name!r}")
    return kind(**found)


def _converted(name: str, reader: Callable[[Any], object], value: object) -> object:
    try:
        return reader(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{name}: {error}") from None


def moment(value: object) -> float | None:
    """Return a moment in seconds since 1970 from a datetime, a number, or nothing; or another figure from a number.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, datetime):
        return value.timestamp()
    return None if value is None or not _is_finite(value) else float(_number(value))


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return value
    raise ValueError(f"{repr(value)[:40]} is no number")


def _is_finite(value: object) -> bool:
    """Say whether a number is one that JSON and a page can hold; such as 10**400 is none."""
    try:
        return math.isfinite(_number(value))
    except OverflowError:
        return False


def _count(value: object) -> float:
    if _is_finite(value):
        return _number(value)
    raise ValueError("it is beyond all numbers")


def _text(value: object) -> str:
    if value is None:
        return ""
    return legible(str(value.value if isinstance(value, Enum) else value))


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _facts(value: Mapping[object, object]) -> dict[str, Fact]:
    return {_text(name): _fact(each) for name, each in value.items()}


def _fact(value: object) -> Fact:
    """Return what JSON can hold: a number that is none is not known, and what is neither is shown as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if _is_finite(value) else None
    return _text(value)


def _figures(value: Iterable[object]) -> tuple[float, ...]:
    return tuple(each for each in map(moment, value) if each is not None)


_READERS: dict[object, Callable[[Any], object]] = {
    str: _text, str | None: _text_or_none, bool: bool, int: _count, float: _count, float | None: moment,
    Mapping[str, Fact]: _facts, tuple[float, ...]: _figures, Any: lambda value: value,
}  # fmt: skip
"""What reads a field, by what the field is declared to hold."""
