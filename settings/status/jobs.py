"""The workers of the fleet: what each process knows of its jobs, and the history of those that run once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settings.status.merge import Process
from settings.status.rows import Job
from settings.status.words import legible


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as the fleet sees it; moments in seconds since 1970.

    Attributes:
        outcome: `running`, `overrunning`, `ok`, `failed`, `timeout`, `abandoned` (its process died), or empty.
        owner: Who ran it last, or runs it now.
        processes: How many processes have it.
    """

    name: str
    schedule: str
    once: bool
    outcome: str
    error: str
    last_run: float | None
    duration_seconds: float | None
    next_run: float | None
    owner: str
    runs: int
    failures: int
    processes: int


def merged_jobs(processes: Sequence[Process], history: Iterable[Mapping[str, Any]], now: float) -> list[JobLine]:
    """Return a line a job: one that runs once in the fleet by its history, any other by its latest run."""
    rows = {str(row["job"]): row for row in history}
    known: dict[str, list[tuple[str, Job]]] = {}
    for process in processes:
        for job in process.jobs:
            known.setdefault(job.name, []).append((process.name, job))
    return [_line(name, jobs, rows.get(name), now) for name, jobs in known.items()]


def _line(name: str, jobs: list[tuple[str, Job]], row: Mapping[str, Any] | None, now: float) -> JobLine:
    newest, latest = max(jobs, key=lambda each: each[1].last_started or 0.0)
    following = [job.next_run for _, job in jobs if job.next_run is not None]
    line = JobLine(
        name=name,
        schedule=latest.schedule,
        once=latest.once,
        outcome=latest.state if latest.state in ("running", "overrunning") else latest.last_outcome,
        error=latest.last_error,
        last_run=latest.last_started,
        duration_seconds=latest.last_duration_seconds,
        next_run=min(following, default=None),
        owner=(latest.owner or newest) if latest.last_started else "",
        runs=sum(job.runs for _, job in jobs),
        failures=sum(job.failures for _, job in jobs),
        processes=len(jobs),
    )
    return _with_history(line, row, now) if row is not None and latest.once else line


def _with_history(line: JobLine, row: Mapping[str, Any], now: float) -> JobLine:
    runs_now = (row.get("lease_until") or 0.0) > now
    own = "running" if runs_now and line.outcome != "overrunning" else row.get("outcome") or line.outcome
    return JobLine(
        name=line.name,
        schedule=line.schedule,
        once=True,
        outcome=line.outcome if runs_now and line.outcome == "overrunning" else own,
        error=legible(row.get("error") or "") if not runs_now else "",
        last_run=row.get("started_at"),
        duration_seconds=None if runs_now else row.get("duration_seconds"),
        next_run=row.get("due_at") or line.next_run,
        owner=row.get("owner") or line.owner,
        runs=int(row.get("runs") or 0),
        failures=int(row.get("failures") or 0),
        processes=line.processes,
    )
