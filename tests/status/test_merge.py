"""One view of many processes."""

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from settings.probe import HealthStatus
from settings.status.jobs import merged_jobs
from settings.status.merge import badness, merged_errors, merged_services, own_body, own_snapshot, processes_of
from settings.status.rows import Service, Snapshot, read
from tests.status.conftest import SINCE, FakeError, FakeJob, World

statuses = st.sampled_from([each.value for each in HealthStatus])


def snapshot(name: str, **body: object) -> Snapshot:
    """Return a snapshot of a process."""
    return Snapshot(name, "web-2", 7, SINCE.timestamp(), json.loads(json.dumps(body)))


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


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(0, 99)), max_size=4), max_size=4
    )
)
def test_counts_of_errors_add_up(found: list[list[tuple[str, int, int]]]) -> None:
    """No count is lost or invented by merging, and the most frequent comes first."""
    rows = [
        snapshot(f"p{n}", errors=[{"fingerprint": f, "seen": s, "suppressed": h} for f, s, h in each])
        for n, each in enumerate(found)
    ]
    merged = merged_errors(processes_of(snapshot("own"), rows))
    flat = [each for row in found for each in row]
    assert sum(each.row.seen for each in merged) == sum(seen for _, seen, _ in flat)
    assert sum(each.row.suppressed for each in merged) == sum(held for _, _, held in flat)
    assert [each.row.seen for each in merged] == sorted((each.row.seen for each in merged), reverse=True)


@given(
    st.builds(
        Service,
        name=st.text(),
        status=statuses,
        since=st.none() | st.floats(0, 4e9),
        latency_ms=st.none() | st.floats(0, 1e6),
        detail=st.text(),
        critical=st.booleans(),
        facts=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
        latencies=st.lists(st.floats(0, 1e6)).map(tuple),
    )
)
def test_a_row_survives_its_snapshot(row: Service) -> None:
    """A row that was written as JSON is read back equal."""
    assert read(Service, json.loads(json.dumps(asdict(row)))) == row


def test_the_body_of_a_snapshot_is_json(world: World) -> None:
    """What a process writes is JSON, also when a figure is not a number, and an example is bounded."""
    world.change("cache", facts={"ratio": float("nan")}, latencies=(float("inf"),))
    world.errors, world.jobs = [FakeError("x", example="y" * 10**6)], [FakeJob("report")]
    text = json.dumps(own_body(world.sources()), allow_nan=False)
    assert len(text) < 10_000


def test_a_job_of_the_fleet_is_told_by_its_history() -> None:
    """For a job that runs once, outcome, duration and next run are those of the claim's row."""
    jobs = [{"name": "report", "schedule": "every 60 s", "once": True}]
    row = {"job": "report", "due_at": 160.0, "lease_until": 0.0, "owner": "web-2:7", "runs": 5, "failures": 2,
           "started_at": 100.0, "duration_seconds": 1.5, "outcome": "failed", "error": "boom"}  # fmt: skip
    (line,) = merged_jobs(processes_of(snapshot("a", jobs=jobs), [snapshot("b", jobs=jobs)]), [row], 130.0)
    assert (line.outcome, line.error, line.runs, line.owner, line.next_run) == ("failed", "boom", 5, "web-2:7", 160.0)
    (running,) = merged_jobs(processes_of(snapshot("a", jobs=jobs), []), [{**row, "lease_until": 140.0}], 130.0)
    assert (running.outcome, running.duration_seconds, running.error) == ("running", None, "")


def test_a_job_of_each_process_shows_its_latest_run() -> None:
    """For a job that runs everywhere, the newest run counts and the runs add up."""
    rows = [
        snapshot(name, jobs=[{"name": "health", "once": False, "runs": 2, "last_started": at, "last_outcome": outcome}])
        for name, at, outcome in [("a", 100.0, "ok"), ("b", 110.0, "failed")]
    ]
    (line,) = merged_jobs(processes_of(rows[0], rows[1:]), [], 120.0)
    assert (line.outcome, line.last_run, line.owner, line.runs, line.processes) == ("failed", 110.0, "b", 4, 2)
