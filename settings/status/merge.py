"""From what each process knows to one view of the fleet: this process as it is now, the others by their snapshots."""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from settings.probe import HealthStatus
from settings.status.rows import Job, RepeatedError, Row, Service, Snapshot, moment, read
from settings.status.sources import StatusSources

Part = TypeVar("Part", dict[str, Any], list[Any])
MAX_ERRORS = 20
LONGEST_EXAMPLE = 4000
_WORST_FIRST = [
    HealthStatus.UNHEALTHY.value,
    HealthStatus.UNKNOWN.value,
    HealthStatus.FALLBACK.value,
    HealthStatus.HEALTHY.value,
    HealthStatus.DISABLED.value,
]


@dataclass(frozen=True, slots=True)
class Process:
    """A serving process and all that it said.

    Attributes:
        here: Whether it is the one that answers.
        seen_at: When it said it, in seconds since 1970.
        figures: Its counts of errors.
        unread: What of its snapshot could not be read, and is left out; of another release, maybe.
    """

    name: str
    host: str
    pid: int
    here: bool
    seen_at: float | None
    started_at: float | None
    services: tuple[Service, ...]
    jobs: tuple[Job, ...]
    errors: tuple[RepeatedError, ...]
    figures: Mapping[str, Any]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedService:
    """A service as the fleet sees it.

    Attributes:
        row: The row of a process in the worst state, with the earliest time at which that state began.
        processes: Names of the processes in that state.
        asked: How many processes know the service.
    """

    row: Service
    processes: tuple[str, ...]
    asked: int


@dataclass(frozen=True, slots=True)
class MergedError:
    """An error with its counts over all processes."""

    row: RepeatedError
    processes: int

    @property
    def title(self) -> str:
        """The first line of the example; one that came once in each process is told in full by the log alone."""
        lines = self.row.example.strip().splitlines()
        return (
            lines[0] if lines else f"once in each of {self.processes} processes, as {self.row.fingerprint} in the log"
        )


def own_body(sources: StatusSources) -> dict[str, Any]:
    """Return what this process writes into its snapshot: JSON-ready, masked, a few kilobytes."""
    errors = [read(RepeatedError, each) for each in sources.repeated_errors(MAX_ERRORS)]
    return {
        "started_at": sources.started_at(),
        "services": [asdict(read(Service, each)) for each in sources.services().values()],
        "jobs": [asdict(read(Job, each)) for each in sources.jobs()],
        "errors": [asdict(replace(each, example=each.example[:LONGEST_EXAMPLE])) for each in errors],
        "figures": dict(sources.error_figures()),
    }


def own_snapshot(sources: StatusSources, now: float) -> Snapshot:
    """Return what this process would write now."""
    return Snapshot(sources.process(), socket.gethostname(), os.getpid(), now, own_body(sources))


def processes_of(own: Snapshot, others: Iterable[Snapshot]) -> list[Process]:
    """Return this process first, as it is now, then the others as they wrote."""
    ours = _process(own, here=True)
    return [ours, *(_process(each, here=False) for each in others if each.process != own.process)]


def _process(snapshot: Snapshot, *, here: bool) -> Process:
    unread: list[str] = []
    body = _of(dict, snapshot.body, "body", unread)
    return Process(
        name=snapshot.process,
        host=snapshot.host,
        pid=snapshot.pid,
        here=here,
        seen_at=snapshot.written_at,
        started_at=_started_at(body, unread),
        services=tuple(_rows(Service, body, "services", unread)),
        jobs=tuple(_rows(Job, body, "jobs", unread)),
        errors=tuple(_rows(RepeatedError, body, "errors", unread)),
        figures=_of(dict, body.get("figures", {}), "figures", unread),
        unread=tuple(unread),
    )


def _of(kind: type[Part], found: object, name: str, unread: list[str]) -> Part:
    """Return a part of a body, or an empty one where it is of another kind."""
    if isinstance(found, kind):
        return found
    unread.append(f"{name}: it is no {kind.__name__}")
    return kind()


def _started_at(body: Mapping[str, Any], unread: list[str]) -> float | None:
    try:
        return moment(body.get("started_at"))
    except ValueError as error:
        unread.append(f"started_at: {error}")
        return None


def _rows(kind: type[Row], body: Mapping[str, Any], name: str, unread: list[str]) -> Iterator[Row]:
    for each in _of(list, body.get(name, []), name, unread):
        try:
            yield read(kind, each)
        except (AttributeError, ValueError) as error:
            unread.append(f"{name}: {error}")


def badness(status: str) -> int:
    """Return the place of a status from the worst, 0, to the best; an unknown word is as bad as can be."""
    return _WORST_FIRST.index(status) if status in _WORST_FIRST else 0


def merged_services(processes: Sequence[Process]) -> list[MergedService]:
    """Return each service in its worst state, in the order in which this process knows them."""
    known: dict[str, list[tuple[str, Service]]] = {}
    for process in processes:
        for service in process.services:
            known.setdefault(service.name, []).append((process.name, service))
    return [_worst(each) for each in known.values()]


def _worst(rows: list[tuple[str, Service]]) -> MergedService:
    least = min(badness(service.status) for _, service in rows)
    worst = sorted((each for each in rows if badness(each[1].status) == least), key=lambda each: each[0])
    began = [service.since for _, service in worst if service.since is not None]
    row = replace(worst[0][1], since=min(began, default=None))
    return MergedService(row, tuple(name for name, _ in worst), len(rows))


def merged_errors(processes: Sequence[Process]) -> list[MergedError]:
    """Return the errors that came more than once in the fleet, counts added up, the most frequent first."""
    known: dict[str, list[RepeatedError]] = {}
    for process in processes:
        for error in process.errors:
            known.setdefault(error.fingerprint, []).append(error)
    merged = [MergedError(_added(rows), len(rows)) for rows in known.values()]
    repeated = [each for each in merged if each.row.seen > 1]
    return sorted(repeated, key=lambda each: -each.row.seen)[:MAX_ERRORS]


def _added(rows: list[RepeatedError]) -> RepeatedError:
    first = [row.first_seen for row in rows if row.first_seen is not None]
    last = [row.last_seen for row in rows if row.last_seen is not None]
    return RepeatedError(
        fingerprint=rows[0].fingerprint,
        seen=sum(row.seen for row in rows),
        suppressed=sum(row.suppressed for row in rows),
        first_seen=min(first, default=None),
        last_seen=max(last, default=None),
        example=next((row.example for row in rows if row.example), ""),
    )
