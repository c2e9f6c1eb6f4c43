"""The rows that the pages show, read alike from the rooms' own objects and from the JSON of a snapshot."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from settings.probe import Fact
from settings.status.words import legible

Row = TypeVar("Row")

MOMENTS = frozenset(
    {"since", "checked_at", "last_started", "next_run", "first_seen", "last_seen", "first_occurrence",
     "last_occurrence", "acknowledged_at", "written_at", "started_at", "finished_at"}
)  # fmt: skip
"""Fields that hold a moment: seconds since 1970 here, whatever their source has."""


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
    body: Mapping[str, Any] = field(default_factory=dict)


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
    which users of the application can write, come out legible.

    Raises:
        AttributeError: A field without default is missing.
    """
    found: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type] # the rows above are dataclasses, which TypeVar cannot say
        value = source.get(each.name, MISSING) if isinstance(source, Mapping) else getattr(source, each.name, MISSING)
        if value is not MISSING:
            found[each.name] = _plain(each.name, value)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise AttributeError(f"a row for {kind.__name__} has no {each.name!r}")
    return kind(**found)


def _plain(name: str, value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return legible(value)
    if name in MOMENTS:
        return moment(value)
    if name == "facts" and isinstance(value, Mapping):
        return {legible(key): legible(each) if isinstance(each, str) else _finite(each) for key, each in value.items()}
    return (
        tuple(each for each in value if _finite(each) is not None)
        if name == "latencies" and isinstance(value, list | tuple)
        else value
    )


def _finite(value: object) -> object:
    """Return what JSON can hold: a number that is none is not known."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def moment(value: object) -> float | None:
    """Return a moment in seconds since 1970 from a datetime, a number, or nothing."""
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else None
