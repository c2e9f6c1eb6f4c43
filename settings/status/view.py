"""What a page shows at one moment, gathered from the sources without waiting long for any of them."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from settings.probe import HealthStatus
from settings.status.diagnosis import diagnose, line
from settings.status.jobs import JobLine, merged_jobs
from settings.status.kept import WAIT_SECONDS, Kept
from settings.status.merge import (
    MergedError,
    MergedService,
    Process,
    badness,
    merged_errors,
    merged_services,
    own_snapshot,
    processes_of,
)
from settings.status.rows import Alert, BootRow, Snapshot, read
from settings.status.sources import Setting, StatusSources
from settings.status.verdict import Verdict, verdict_of, worst
from settings.status.words import legible

log = logging.getLogger(__name__)
OPEN = ("active", "acknowledged")
MAX_ALERTS = 100
INTERVALS_UNTIL_GONE, GRACE_SECONDS = 2.0, 10.0
"""A process that wrote nothing for so many intervals, and so much longer, is taken for dead."""
_SAID: dict[Verdict, str] = {"fail": "down", "warn": "degraded"}
SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds for the page."""

    alerts: tuple[Alert, ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ()
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One moment of everything.

    Attributes:
        verdict: The worst of all services; `fail` while this process ends and no other serves.
        shutting_down: Whether the process that answers ends.
        at: The moment, in seconds since 1970.
        stored_at: When the tables were read (alerts, history of runs, other processes); None: never yet.
        late: Whether the tables could not be read anew in time.
        processes: The serving processes, the one that answers first; none where a command finds no snapshot.
        alerts: Open alerts: those that nobody looks after yet first, then by severity.
        settings: Settings by room.
    """

    app_name: str
    environment: str
    verdict: Verdict
    shutting_down: bool
    at: float
    stored_at: float | None
    late: bool
    processes: tuple[Process, ...]
    services: tuple[MergedService, ...]
    jobs: tuple[JobLine, ...]
    alerts: tuple[Alert, ...]
    errors: tuple[MergedError, ...]
    boot: tuple[BootRow, ...]
    settings: Mapping[str, Sequence[Setting]]

    @property
    def troubled(self) -> tuple[MergedService, ...]:
        """The services that are not well, the worst first."""
        bad = [each for each in self.services if verdict_of(each.row) != "pass"]
        return tuple(sorted(bad, key=lambda each: (verdict_of(each.row) != "fail", badness(each.row.status))))

    @property
    def ordered_services(self) -> tuple[MergedService, ...]:
        """All services, those that are not well first."""
        troubled = self.troubled
        return (*troubled, *(each for each in self.services if each not in troubled))

    @property
    def untaken(self) -> int:
        """How many alerts nobody looks after yet."""
        return sum(alert.status == "active" for alert in self.alerts)

    @property
    def mood(self) -> Verdict:
        """What the page looks like: the verdict, but not well while nobody looks after an alert."""
        return "warn" if self.verdict == "pass" and self.untaken else self.verdict

    @property
    def headline(self) -> str:
        """The verdict in a few words: what is down, and what is degraded."""
        if self.shutting_down and len(self.processes) < 2:
            return "Shutting down"
        if self.mood != self.verdict:
            return f"{self.untaken} open {'alert' if self.untaken == 1 else 'alerts'}"
        parts = [(word, self._names(verdict)) for verdict, word in _SAID.items()]
        text = "; ".join(f"{word}: {names}" for word, names in parts if names)
        return f"{text[0].upper()}{text[1:]}" if text else "All well"

    def _names(self, verdict: Verdict) -> str:
        return ", ".join(each.row.name for each in self.troubled if verdict_of(each.row) == verdict)

    @property
    def unread(self) -> int:
        """Of how many processes the snapshot could not be read, or not all of it."""
        return sum(bool(process.unread) for process in self.processes)

    @property
    def here(self) -> int:
        """How many processes run on the machine that answers."""
        return sum(process.host == self.processes[0].host for process in self.processes)

    @property
    def machines(self) -> int:
        """How many machines the processes run on."""
        return len({process.host for process in self.processes})


class Gatherer:
    """Gathers views. What lies in the database is asked for on a thread of its own and kept for a second.

    Args:
        sources: Where everything comes from.
        serves: Whether this process serves, and so is one of those that it speaks for; a command is not.
        wait_seconds: The longest that a view waits for the tables.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        sources: StatusSources,
        *,
        serves: bool = True,
        wait_seconds: float = WAIT_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._sources, self._serves, self._wall = sources, serves, wall
        self._unread: frozenset[str] = frozenset()
        self._stored = Kept("status tables", self._read_tables, empty=Stored(), wait_seconds=wait_seconds, wall=wall)

    def gather(self) -> View:
        """Return how everything is now, within about a second whatever hangs."""
        sources, now = self._sources, self._wall()
        answer = self._stored.get()
        stored, closing = answer.value, sources.shutting_down()
        own, *others = processes_of(own_snapshot(sources, now), stored.snapshots)
        serving = (own, *others) if self._serves else tuple(others)
        self._tell_unread(others)
        known = own if self._serves else _only_known(own)
        services = tuple(merged_services([known, *others]))
        return View(
            app_name=sources.app_name,
            environment=sources.environment,
            verdict="fail" if closing and not others else worst(verdict_of(each.row) for each in services),
            shutting_down=closing,
            at=now,
            stored_at=answer.asked_at,
            late=answer.late,
            processes=serving,
            services=services,
            jobs=tuple(merged_jobs(serving or [own], stored.runs, now)),
            alerts=stored.alerts,
            errors=tuple(merged_errors(serving or [own])),
            boot=tuple(read(BootRow, each) for each in sources.boot),
            settings=_by_room(sources.settings()),
        )

    def forget(self) -> None:
        """Read the tables anew for the next view: something in them was changed here."""
        self._stored.forget()

    def _tell_unread(self, others: Iterable[Process]) -> None:
        """Log what cannot be read of the snapshots, once for each process."""
        found = {each.name: each for each in others if each.unread}
        new = [each for name, each in found.items() if name not in self._unread]
        self._unread = frozenset(found)
        if new:
            first = f"of {new[0].name} first {new[0].unread[0]}"
            fault = diagnose("snapshot-unread", what=f"{len(new)} other process(es)", error=first)
            log.warning("%s", line(fault))

    def _read_tables(self) -> Stored:
        sources = self._sources
        alerts = [read(Alert, each) for status in OPEN for each in sources.alerts.list(status, MAX_ALERTS)]
        snapshots = sources.snapshots(INTERVALS_UNTIL_GONE * sources.snapshot_seconds + GRACE_SECONDS)
        return Stored(
            alerts=tuple(sorted(alerts, key=_urgency)),
            runs=tuple(sources.run_history()),
            snapshots=tuple(read(Snapshot, each) for each in snapshots),
        )


def _only_known(own: Process) -> Process:
    """Return what a command can tell: it runs no workers and holds no gateway, so it does not know how they are."""
    known = tuple(each for each in own.services if each.status != HealthStatus.UNKNOWN)
    return replace(own, services=known)


def _urgency(alert: Alert) -> tuple[bool, int, float]:
    place = SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else 0
    return alert.status == "acknowledged", place, -(alert.last_occurrence or 0.0)


def _by_room(settings: Iterable[Setting]) -> dict[str, list[Setting]]:
    rooms: dict[str, list[Setting]] = {}
    for each in settings:
        room, variable, value, origin = map(legible, each)
        rooms.setdefault(room, []).append((room, variable, value, origin))
    return rooms
