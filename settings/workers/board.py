"""The jobs of this process and how they are doing, behind one lock."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypedDict, Unpack

from settings.probe import Fact, HealthStatus, Reading
from settings.workers.diagnosis import diagnose
from settings.workers.jobs import JobDefinition, JobStatus, Outcome, State


class Change(TypedDict, total=False):
    """Fields of a `JobStatus` that change."""

    state: State
    runs: int
    failures: int
    failures_in_a_row: int
    last_started: datetime
    last_duration_seconds: float
    last_outcome: Outcome
    last_error: str
    next_run: datetime | None
    owner: str
    detail: str


class Board:
    """Holds a `JobStatus` for each definition; safe to use from any thread, and from a signal handler."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._definitions: dict[str, JobDefinition] = {}
        self._statuses: dict[str, JobStatus] = {}

    def add(self, definition: JobDefinition) -> None:
        """Put up a job; its name must not be up yet."""
        with self._lock:
            self._definitions[definition.name] = definition
            self._statuses[definition.name] = JobStatus(definition.name, definition.schedule, definition.once)

    def __contains__(self, name: str) -> bool:
        return name in self._definitions

    def definition(self, name: str) -> JobDefinition:
        """Return a job's definition."""
        return self._definitions[name]

    def definitions(self) -> list[JobDefinition]:
        """Return all definitions, in the order of their registration."""
        with self._lock:
            return list(self._definitions.values())

    def statuses(self) -> list[JobStatus]:
        """Return how each job is doing, in the order of registration."""
        with self._lock:
            return list(self._statuses.values())

    def status(self, name: str) -> JobStatus:
        """Return how one job is doing."""
        return self._statuses[name]

    def change(self, name: str, **changes: Unpack[Change]) -> None:
        """Replace fields of a job's status."""
        with self._lock:
            self._statuses[name] = replace(self._statuses[name], **changes)

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Keep the definitions; nothing runs here, and nothing has run yet."""
        self._lock = threading.RLock()
        self._statuses = {each.name: JobStatus(each.name, each.schedule, each.once) for each in self.definitions()}


def judged(jobs: Sequence[JobStatus], facts: Mapping[str, Fact]) -> Reading:
    """Return what these jobs say of the workers: unhealthy when one overruns or fails again and again."""
    overrunning = [job for job in jobs if job.state == "overrunning"]
    failing = [job for job in jobs if job.failures_in_a_row > 1]
    if overrunning:
        names = ", ".join(job.name for job in overrunning)
        diagnosis = diagnose("worker-overran")
        return Reading(HealthStatus.UNHEALTHY, f"beyond the time limit: {names}", diagnosis.code, diagnosis.cause,
                       diagnosis.fix, facts)  # fmt: skip
    if failing:
        names = ", ".join(f"{job.name} ({job.failures_in_a_row} times)" for job in failing)
        diagnosis = diagnose("worker-failed", error=failing[0].last_error)
        return Reading(HealthStatus.UNHEALTHY, f"failing in a row: {names}", diagnosis.code, diagnosis.cause,
                       diagnosis.fix, facts)  # fmt: skip
    return Reading(HealthStatus.HEALTHY, f"{len(jobs)} jobs", facts=facts)
