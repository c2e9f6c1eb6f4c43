"""One moment of everything."""

import threading
import time
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings.probe import HealthStatus
from settings.status.access import Caller
from settings.status.metrics import _Gauges
from settings.status.pages import Pages
from settings.status.rows import Job, RepeatedError, Service
from settings.status.sources import StatusSources
from settings.status.terminal import status_text
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


def test_a_snapshot_that_cannot_be_read_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A process of another release: one line in the log however often the page is asked for, and a count."""
    world.snapshots = [FakeSnapshot("web-2:7", body={"services": None}), FakeSnapshot("web-2:8", body={"services": []})]
    gatherer = Gatherer(world.sources(), wait_seconds=5)
    views = [gatherer.gather() for _ in range(3)]
    assert [(len(each.processes), each.unread) for each in views] == [(3, 1)] * 3
    [record] = caplog.records
    assert "[snapshot-unread]" in record.message
    assert "web-2:7 first services: it is no list" in record.message


PAGES = Pages()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=3,
)
KINDS: dict[str, type] = {"services": Service, "jobs": Job, "errors": RepeatedError}


@st.composite
def _bodies(draw: st.DrawFn) -> dict[str, object]:
    """What this release writes, with something else in places."""
    body: dict[str, object] = {"started_at": draw(VALUES | st.just(5.0)), "figures": draw(VALUES | st.just({}))}
    for part, kind in KINDS.items():
        row = {each.name: draw(VALUES) for each in fields(kind) if draw(st.booleans())}
        named = {name: row.get(name, "x") for name in ("name", "status", "fingerprint")}
        body[part] = draw(VALUES | st.just([{**row, **named}]))
    return body


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_bodies())
def test_nothing_that_another_process_wrote_stops_the_page(world: World, body: dict[str, object]) -> None:
    """Page, terminal and metrics come, whatever JSON lies in the table."""
    world.snapshots = [FakeSnapshot("web-2:7", body=body)]
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    assert len(view.processes) == 2
    page = PAGES.status(view, Caller(may_see=True, may_change=True), base="/status")
    assert ("cannot be read" in page) is bool(view.unread)
    assert status_text(view)
    assert all(family.samples is not None for family in _Gauges(view).collect())
