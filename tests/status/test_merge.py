"""One view of many processes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.probe import HealthStatus
from settings.status.merge import badness, merged_errors, merged_services, own_body, own_snapshot, processes_of
from tests.status.conftest import FakeError, FakeJob, World, snapshot

statuses = st.sampled_from([each.value for each in HealthStatus])


@given(st.lists(statuses, min_size=1, max_size=8))
def test_the_worst_state_is_shown_with_its_share(found: list[str]) -> None:
    """Whatever the processes say, the merged state is the worst of them, and its processes are those that say it."""
    rows = [snapshot(f"p{n}", services=[{"name": "cache", "status": each}]) for n, each in enumerate(found)]
    (merged,) = merged_services(processes_of(rows[0], rows[1:]))
    assert badness(merged.row.status) == min(map(badness, found))
    assert (len(merged.processes), merged.asked) == (found.count(merged.row.status), len(found))


def test_the_state_began_where_it_began_first() -> None:
    """Since when: the earliest process in the worst state, not one that is well."""
    rows = [
        snapshot(f"p{n}", services=[{"name": "cache", "status": status, "since": since}])
        for n, (status, since) in enumerate([("healthy", 1.0), ("fallback", 30.0), ("fallback", 20.0)])
    ]
    (merged,) = merged_services(processes_of(rows[0], rows[1:]))
    assert merged.row.since == 20.0


def test_own_snapshot_is_not_counted_twice(world: World) -> None:
    """What this process wrote earlier gives way to what it is now."""
    own = own_snapshot(world.sources(), 5.0)
    processes = processes_of(own, [snapshot("web-1:1", services=[]), snapshot("web-2:7")])
    assert [(each.name, each.here) for each in processes] == [("web-1:1", True), ("web-2:7", False)]


WELL = {"name": "cache", "status": "healthy"}


@pytest.mark.parametrize(
    ("body", "unread"),
    [
        (None, "body: it is no dict"),
        ({"services": None}, "services: it is no list"),
        ({"services": [WELL, {"name": "x"}]}, "services: a row for Service has no 'status'"),
        ({"services": [WELL, "x"]}, "services: a row for Service has no 'name'"),
        (
            {"services": [{**WELL, "name": "x", "latency_ms": "fast"}, WELL]},
            "services: latency_ms: 'fast' is no number",
        ),
        ({"services": [WELL], "errors": [{"fingerprint": "f", "seen": None}]}, "errors: seen: None is no number"),
        ({"services": [WELL], "jobs": [{"name": "j", "runs": "2"}]}, "jobs: runs: '2' is no number"),
        ({"services": [WELL], "started_at": "x"}, "started_at: 'x' is no number"),
        ({"services": [WELL], "figures": [1]}, "figures: it is no dict"),
    ],
)
def test_what_cannot_be_read_of_a_process_is_left_out(body: Any, unread: str) -> None:
    """The process counts, says what is missing, and the rest of it is there."""
    _, process = processes_of(snapshot("own"), [replace(snapshot("later"), body=body)])
    assert process.unread == (unread,)
    assert [each.name for each in process.services] == (["cache"] if "cache" in str(body) else [])
    assert (process.jobs, process.errors) == ((), ())


def test_what_another_release_adds_is_no_matter() -> None:
    """More parts and more fields than this release knows are not missed."""
    body = {"services": [{**WELL, "weight": 1}], "queues": [{"name": "mail"}]}
    _, process = processes_of(snapshot("own"), [snapshot("later", **body)])
    assert (process.unread, len(process.services)) == ((), 1)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(0, 99)), max_size=4), max_size=4
    )
)
def test_counts_of_errors_add_up(found: list[list[tuple[str, int, int]]]) -> None:
    """No count of what was repeated is lost or invented, and the most frequent comes first; once is no repetition."""
    rows = [
        snapshot(f"p{n}", errors=[{"fingerprint": f, "seen": s, "suppressed": h} for f, s, h in each])
        for n, each in enumerate(found)
    ]
    merged = merged_errors(processes_of(snapshot("own"), rows))
    flat = [each for row in found for each in row]
    totals = {name: sum(seen for each, seen, _ in flat if each == name) for name in "abc"}
    repeated = {name for name, seen in totals.items() if seen > 1}
    assert {each.row.fingerprint: each.row.seen for each in merged} == {name: totals[name] for name in repeated}
    assert sum(each.row.suppressed for each in merged) == sum(held for each, _, held in flat if each in repeated)
    assert [each.row.seen for each in merged] == sorted((each.row.seen for each in merged), reverse=True)


def test_an_error_has_a_title_that_leads_on() -> None:
    """The title is the first line of an example; without one it says where to look."""
    rows = [snapshot(name, errors=[{"fingerprint": "f2a1", "seen": 1}]) for name in ("a", "b")]
    (once,) = merged_errors(processes_of(snapshot("own"), rows))
    assert once.title == "once in each of 2 processes, as f2a1 in the log"
    rows.append(snapshot("c", errors=[{"fingerprint": "f2a1", "seen": 2, "example": "\nKeyError: 7\n  at line 3"}]))
    (often,) = merged_errors(processes_of(snapshot("own"), rows))
    assert often.title == "KeyError: 7"


def test_the_body_of_a_snapshot_is_json(world: World) -> None:
    """What a process writes is JSON, also when a figure is not a number, and an example is bounded."""
    world.change("cache", facts={"ratio": float("nan")}, latencies=(float("inf"),))
    world.errors, world.jobs = [FakeError("x", example="y" * 10**6)], [FakeJob("report")]
    text = json.dumps(own_body(world.sources()), allow_nan=False)
    assert len(text) < 10_000
