"""One moment of everything."""

import threading
import time

import pytest

from settings.probe import HealthStatus
from settings.status.sources import StatusSources
from settings.status.view import Gatherer
from tests.servers import wait_until
from tests.status.conftest import FakeSnapshot, World


@pytest.mark.parametrize(
    ("changes", "alerts", "mood", "headline"),
    [
        ({}, [], "pass", "All well"),
        ({"cache": HealthStatus.FALLBACK}, [], "warn", "Degraded: cache"),
        (
            {"cache": HealthStatus.FALLBACK, "database": HealthStatus.UNHEALTHY},
            [],
            "fail",
            "Down: database; degraded: cache",
        ),
        ({}, ["active"], "warn", "1 open alert"),
        ({}, ["active", "active", "acknowledged"], "warn", "2 open alerts"),
        ({}, ["acknowledged"], "pass", "All well"),
        ({"cache": HealthStatus.FALLBACK}, ["active"], "warn", "Degraded: cache"),
    ],
)
def test_headline(world: World, changes: dict[str, HealthStatus], alerts: list[str], mood: str, headline: str) -> None:
    """The headline names what is not well, the worst first; an alert that nobody took is not well."""
    for name, status in changes.items():
        world.change(name, status=status)
    for each in alerts:
        world.alerts.add(status=each)
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    assert (view.mood, view.headline) == (mood, headline)


def test_a_process_that_ends_says_so(world: World) -> None:
    """The last process that serves is down when it ends; one of several is replaced, which is no fault."""
    world.closing = True
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    assert (view.verdict, view.headline) == ("fail", "Shutting down")
    world.snapshots = [FakeSnapshot("web-1:2")]
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    assert (view.verdict, view.headline, view.shutting_down) == ("pass", "All well", True)


def test_alerts_that_need_a_hand_come_first(world: World) -> None:
    """Not yet acknowledged before acknowledged, then the most severe; resolved ones are gone."""
    for severity, status in [("low", "active"), ("critical", "acknowledged"), ("high", "active"), ("high", "resolved")]:
        world.alerts.add(severity=severity, status=status)
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    assert [(each.severity, each.status) for each in view.alerts] == [
        ("high", "active"), ("low", "active"), ("critical", "acknowledged")
    ]  # fmt: skip


def test_a_frozen_database_does_not_hold_a_view(world: World) -> None:
    """A view of frozen tables comes in time, says that they are late, and later says what they hold."""
    world.alerts.add()
    world.alerts.hold = threading.Event()
    gatherer = Gatherer(world.sources(), wait_seconds=0.05)
    begin = time.monotonic()
    view = gatherer.gather()
    assert time.monotonic() - begin < 1
    assert (view.late, view.stored_at, view.alerts) == (True, None, ())
    world.alerts.hold.set()
    wait_until(lambda: len(gatherer.gather().alerts) == 1, seconds=10, what="the alert")


def test_the_age_of_snapshots_follows_their_interval(world: World) -> None:
    """A process is taken for dead only after it missed its turn more than once."""
    asked: list[float] = []

    def read(age_seconds: float) -> list[FakeSnapshot]:
        asked.append(age_seconds)
        return []

    Gatherer(StatusSources("shop", "testing", dict, snapshots=read, snapshot_seconds=30), wait_seconds=5).gather()
    assert asked[0] >= 60


def test_machines_and_processes_are_counted(world: World) -> None:
    """Here is the machine that answers; the others are counted apart."""
    world.snapshots = [FakeSnapshot("a", host="x"), FakeSnapshot("b", host="x"), FakeSnapshot("c", host="y")]
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    assert (len(view.processes), view.here, view.machines) == (4, 1, 3)
    command = Gatherer(world.sources(), serves=False, wait_seconds=5).gather()
    assert len(command.processes) == 3
