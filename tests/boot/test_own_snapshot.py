"""A process tells of itself while it serves, and takes that back when it ends."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from bootstrap import Services, bootstrap
from settings.boot.own_snapshot import OwnSnapshot
from settings.boot.sources import status_sources
from settings.probe import HealthStatus
from settings.workers.builtin import HEALTH


@pytest.fixture
def services(working_directory: Path) -> Iterator[Services]:
    """Services that have looked at their database, in a process that does not serve."""
    with bootstrap(Flask(__name__)) as services:
        services.health.refresh()
        yield services


def _processes(services: Services) -> list[str]:
    return [each.process for each in services.snapshots.read(60)]


def test_what_was_written_is_taken_back(services: Services) -> None:
    """The row has this process's name, and goes."""
    snapshot = OwnSnapshot(services)
    snapshot.write()
    assert _processes(services) == [services.process_name()]
    snapshot.forget()
    assert _processes(services) == []


def test_who_wrote_nothing_takes_nothing_back(services: Services) -> None:
    """A process that never served has no row, even where another object wrote one."""
    OwnSnapshot(services).write()
    OwnSnapshot(services).forget()
    assert _processes(services) == [services.process_name()]


def test_a_lock_does_not_keep_the_process(services: Services) -> None:
    """A row that another's transaction keeps from being deleted is left to the cleanup, after the last words' time."""
    snapshot = OwnSnapshot(services)
    snapshot.write()
    with contextlib.closing(sqlite3.connect("app.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        with pytest.raises(DBAPIError):
            snapshot.forget()
        assert time.monotonic() - begin < 2  # a statement waits 5 s for a lock
    assert _processes(services) == [services.process_name()]


@pytest.mark.parametrize(("status", "left"), [(HealthStatus.UNHEALTHY, 1), (HealthStatus.FALLBACK, 0)])
def test_a_database_that_did_not_answer_is_not_asked_at_the_end(
    services: Services, status: HealthStatus, left: int
) -> None:
    """A frozen one would make the end wait, so the row is left to the cleanup; a fallback is as good as any."""
    snapshot = OwnSnapshot(services)
    snapshot.write()
    services.health.register("database", lambda: status, critical=True)
    services.health.refresh()
    snapshot.forget()
    assert len(_processes(services)) == left


def test_a_process_that_does_not_serve_says_nothing_by_itself(services: Services) -> None:
    """A change of health in a command is nobody else's business."""
    snapshot = OwnSnapshot(services)
    snapshot.write_if_serving()
    assert _processes(services) == []
    services.start()
    snapshot.write_if_serving()
    assert _processes(services) == [services.process_name()]


def test_the_job_that_writes_is_not_shown_as_always_running(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own run is under way whenever it tells of the jobs; another job's run is told as it is."""
    running = [replace(job, state="running", last_started=datetime.now(UTC)) for job in services.workers.jobs()]
    monkeypatch.setattr(services.workers, "jobs", lambda: running)
    states = {job.name: job.state for job in status_sources(services).jobs()}
    assert states.pop(HEALTH) == "idle"
    assert set(states.values()) == {"running"}
