"""`flask bootstrap status`: the page for a terminal, as text and as JSON, and the exit status that goes with it."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from settings.status.merge import MergedService
from settings.status.sources import StatusSources
from settings.status.verdict import verdict_of
from settings.status.view import Gatherer, View
from settings.status.words import THIN_SPACE, ago, clock, number, span, took, utc

WELL, NOT_WELL, UNUSABLE = 0, 1, 3
PATIENCE_SECONDS = 5.0
"""A command waits for the tables where a page shows what it has."""
_MARKS = {"pass": "ok", "warn": "warn", "fail": "FAIL"}


def look(sources: StatusSources) -> View:
    """Return what a command sees; it waits longer for the tables than a page does."""
    return Gatherer(sources, serves=False, wait_seconds=PATIENCE_SECONDS).gather()


def status_text(view: View) -> str:
    """Return everything that is to be known, for people: the verdict first, then what it rests on."""
    parts = [_head(view), _services(view), _alerts(view), _errors(view), _jobs(view)]
    return "\n\n".join("\n".join(part) for part in parts).replace(THIN_SPACE, " ")


def status_json(view: View) -> str:
    """Return the same for machines; every moment is in seconds since 1970."""
    body = {
        "verdict": view.verdict,
        "headline": view.headline,
        "app_name": view.app_name,
        "environment": view.environment,
        "at": view.at,
        "tables_late": view.late,
        "processes": [
            {"name": each.name, "host": each.host, "pid": each.pid, "here": each.here, "seen_at": each.seen_at,
             "started_at": each.started_at, "unread": each.unread} for each in view.processes
        ],
        "services": [
            {**asdict(each.row), "verdict": verdict_of(each.row), "processes": each.processes, "asked": each.asked}
            for each in view.services
        ],
        "alerts": [asdict(each) for each in view.alerts],
        "errors": [{**asdict(each.row), "processes": each.processes} for each in view.errors],
        "jobs": [asdict(each) for each in view.jobs],
    }  # fmt: skip
    return json.dumps(body, indent=2, default=str)


def exit_status(view: View) -> int:
    """Return 0 when all is well, 1 when something is degraded, 3 when the database cannot be used."""
    database = [each for each in view.services if each.row.name == "database"]
    if any(verdict_of(each.row) == "fail" for each in database):
        return UNUSABLE
    return WELL if all(verdict_of(each.row) == "pass" for each in view.services) else NOT_WELL


def _head(view: View) -> Iterator[str]:
    yield f"{view.app_name} ({view.environment}): {view.headline}"
    if not view.processes:
        yield "no serving process has written a snapshot lately: this is what the command itself sees"
    else:
        count = len(view.processes)
        machines = len({each.host for each in view.processes})
        word = "process" if count == 1 else "processes"
        yield f"{count} serving {word} on {machines} {'machine' if machines == 1 else 'machines'}, as of {utc(view.at)}"
    for each in view.processes:
        if each.unread:
            yield f"of {each.name} cannot be read, and is left out: {'; '.join(each.unread)[:200]}"
    if view.late:
        yield "the tables could not be read: alerts, runs and other processes are not known"


def _services(view: View) -> Iterator[str]:
    yield "Services"
    for each in view.ordered_services:
        row = each.row
        since = f"for {span(view.at - row.since)}" if row.since is not None else ""
        latency = took(row.latency_ms / 1000) if row.latency_ms is not None else ""
        head = f"  {_MARKS[verdict_of(row)]:<5} {row.name:<12} {row.status + _share(each):<22}"
        yield f"{head} {since:<11} {latency:>8}  {row.detail}".rstrip()
        if verdict_of(row) != "pass":
            yield from (f"        {word}: {text}" for word, text in (("cause", row.cause), ("fix", row.fix)) if text)


def _share(each: MergedService) -> str:
    return f" in {len(each.processes)} of {each.asked}" if len(each.processes) < each.asked else ""


def _alerts(view: View) -> Iterator[str]:
    yield f"Open alerts: {len(view.alerts) or 'none'}"
    for alert in view.alerts:
        taken = f", acknowledged by {alert.acknowledged_by}" if alert.status == "acknowledged" else ""
        times = f"{alert.occurrence_count} times, last {ago(alert.last_occurrence, view.at)}"
        yield f"  {alert.severity:<9} #{alert.id} {alert.title} ({times}{taken})"


def _errors(view: View) -> Iterator[str]:
    yield f"Most repeated errors: {'' if view.errors else 'none'}".rstrip()
    for each in view.errors:
        last = ago(each.row.last_seen, view.at)
        yield f"  {number(each.row.seen):>9} seen, {number(each.row.suppressed)} held back, last {last}: {each.title}"


def _jobs(view: View) -> Iterator[str]:
    yield f"Workers: {'' if view.jobs else 'none'}".rstrip()
    for job in view.jobs:
        last = f"last {ago(job.last_run, view.at)} {took(job.duration_seconds)}".rstrip()
        following = f"next {clock(job.next_run)}" if job.next_run is not None else ""
        head = f"  {job.outcome or 'not run yet':<12} {job.name:<20} {job.schedule:<16}"
        yield f"{head} {last:<28} {following} {job.owner}".rstrip()
        if job.error:
            yield f"        {job.error}"
