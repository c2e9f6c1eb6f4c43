"""One run each interval in the whole fleet, on the database's clock."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from settings.database.claims import Claim, Claims
from settings.database.migrations import MigrationManager
from tests.database.claiming import claimed, claims_of, shift


def test_one_of_many_gets_the_run(engine: Engine, open_database: Callable[..., Any]) -> None:
    """Of ten processes at one moment one wins, also when there is no row yet."""
    url = engine.url.render_as_string(hide_password=False)
    fleet = [claims_of(open_database(url=url).engine, f"process-{n}") for n in range(10)]
    with ThreadPoolExecutor(10) as threads:
        won = [each for each in threads.map(lambda claims: claims.claim("job", every=60), fleet) if each]
    assert len(won) == 1
    (row,) = claims_of(engine).history()
    assert row["runs"] == 1


def test_a_job_is_due_once_each_interval(engine: Engine) -> None:
    """After a run the next comes on the grid; asking sooner gets nothing and says how long to wait."""
    claims = claims_of(engine)
    assert claims.next_in("job") == 0
    claimed(claims).finish("ok", 0.25)
    assert claims.claim("job", every=60) is None
    assert 58 < claims.next_in("job") <= 60
    shift(engine, 61)
    assert claims.next_in("job") == 0
    claimed(claims).finish("ok", 0.25)
    assert 57 < claims.next_in("job") <= 59.5


def test_a_running_job_is_not_overlapped(engine: Engine) -> None:
    """While the lease is kept by its heartbeat no other process runs the job, though it is due."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    claim = claimed(first, every=60)
    for _ in range(3):
        shift(engine, 40)
        assert second.claim("job", every=60) is None
        assert claim.heartbeat()
    claim.finish("ok", 120)


def test_a_job_longer_than_its_interval_rests_until_the_grid(engine: Engine) -> None:
    """It does not run back to back: the next point of its own grid is its turn."""
    claims = claims_of(engine)
    claim = claimed(claims, every=60)
    shift(engine, 59)
    claim.heartbeat()
    shift(engine, 50)
    claim.heartbeat()
    shift(engine, 55)
    claim.finish("ok", 164)
    assert 13 < claims.next_in("job") <= 16.5


def test_a_run_that_began_late_is_not_overlapped_at_its_next_moment(engine: Engine) -> None:
    """The lease counts from the begin of the run, though the grid is due again before."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    claimed(first).finish("ok", 1)
    shift(engine, 110)
    claim = claimed(first)
    shift(engine, 15)
    assert second.claim("job", every=60) is None
    assert claim.heartbeat()


def test_the_next_moment_is_on_the_grid_while_the_job_runs(engine: Engine) -> None:
    """One interval after the first run, and after that one interval after the moment that was due."""
    claims = claims_of(engine)
    for wanted in (3600, 3570):
        claim = claimed(claims, every=3600)
        (row,) = claims.history()
        assert wanted - 5 < row["due_at"] - row["started_at"] <= wanted + 0.5
        claim.finish("ok", 0)
        shift(engine, 3630)


def test_jobs_of_one_application_do_not_touch_each_other(engine: Engine) -> None:
    """Whoever claims one job leaves the row of another as it is."""
    claims = claims_of(engine)
    claimed(claims, job="a").finish("ok", 1)
    shift(engine, 61)
    claimed(claims, job="b")
    assert [(row["job"], row["runs"]) for row in claims.history()] == [("a", 1), ("b", 1)]


def test_the_end_of_one_run_ends_no_other(engine: Engine) -> None:
    """Two jobs of one process may be at the same run."""
    claims = claims_of(engine)
    one, two = claimed(claims, job="a"), claimed(claims, job="b")
    one.finish("ok", 1)
    assert two.heartbeat()
    assert [row["outcome"] for row in claims.history()] == ["ok", None]


def test_a_clock_that_went_back_stops_nothing(engine: Engine) -> None:
    """Moments far ahead of now can only come from a wrong clock: the job is run once, and stays on a sane grid."""
    claims = claims_of(engine)
    claimed(claims).finish("ok", 1)
    shift(engine, -3600)
    claimed(claims).finish("ok", 1)
    assert claims.claim("job", every=60) is None
    assert claims.next_in("job") <= 60


def test_a_moment_a_little_ahead_is_no_wrong_clock(engine: Engine) -> None:
    """One and a half intervals, or leases, ahead are waited for; two and a half are not believed."""
    claims = claims_of(engine)
    claimed(claims).finish("ok", 1)
    shift(engine, -30)
    assert claims.claim("job", every=60) is None
    shift(engine, -60)
    claimed(claims)
    for seconds, believed in ((30, True), (60, False)):
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE worker_runs SET due_at = 0, lease_until = lease_until + {seconds}"))
        assert (claims.claim("job", every=60) is None) == believed


def _fire(claims: Claims, moment: float, job: str = "job") -> Claim | None:
    return claims.claim_fire(job, fire=moment, then=moment + 3600, latest=moment + 3 * 3600, every=1800)


@pytest.mark.parametrize("late", [0, 0.7, 2000, 4000])
def test_a_moment_of_a_line_is_claimed_once(engine: Engine, late: float) -> None:
    """However late another process comes, and however the run ended; an earlier moment is past, a later one is free."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    moment = float(int(time.time()) - late)
    claim = _fire(first, moment)
    assert claim is not None
    assert claim.lease_seconds == 60
    claim.finish("failed", 0.01)
    assert [_fire(second, moment - 3600), _fire(second, moment), _fire(first, moment)] == [None] * 3
    assert second.history()[0]["due_at"] == moment + 3600
    assert _fire(second, moment + 3600)


@pytest.mark.parametrize("wrong", [-7200, 7200, 14400])
def test_a_moment_of_a_line_is_the_same_for_a_wrong_clock(engine: Engine, wrong: float) -> None:
    """A process that is early runs it for all, and one that is late leaves it, also where the database's is wrong."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    moment = time.time() + wrong
    claim = _fire(first, moment)
    assert claim is not None
    claim.finish("ok", 0.01)
    assert _fire(second, moment) is None


def test_a_moment_that_is_far_ahead_of_one_process_only_is_believed(engine: Engine) -> None:
    """A process whose clock is hours late does not run again what others have run, where the database's is right."""
    first, late = claims_of(engine, "one"), claims_of(engine, "late")
    claim = _fire(first, time.time())
    assert claim is not None
    claim.finish("ok", 0.01)
    assert _fire(late, time.time() - 4 * 3600) is None


def test_a_moment_of_a_line_whose_process_died_is_run_again(engine: Engine) -> None:
    """By another process, which leaves the next moment where it is."""
    first, second, moment = claims_of(engine, "one"), claims_of(engine, "two"), time.time()
    assert _fire(first, moment)
    shift(engine, 61)
    (before,) = first.history()
    again = _fire(second, moment)
    assert again is not None
    again.finish("ok", 1)
    (row,) = second.history()
    assert (row["owner"], row["runs"], row["outcome"], row["due_at"]) == ("two", 2, "ok", before["due_at"])


def test_a_moment_far_ahead_holds_no_line_up(engine: Engine) -> None:
    """A claim by a clock that was a year ahead, or by an interval that the job had once, is not believed."""
    claims, year, moment = claims_of(engine), 365 * 86400, time.time()
    for job, claim in (
        ("by a clock", _fire(claims, moment + year, job="by a clock")),
        ("by an interval", claims.claim("by an interval", every=year)),
    ):
        assert claim is not None
        claim.finish("ok", 0.01)
        true = _fire(claims, moment, job=job)
        assert true is not None
        true.finish("ok", 0.01)
        assert _fire(claims, moment, job=job) is None


def test_the_history_tells_how_runs_ended(engine: Engine) -> None:
    """Outcome, duration, error, owner and counts are kept after the run, by the jobs' names."""
    claims = claims_of(engine)
    claimed(claims, job="b").finish("failed", 1.5, "no\0 luck\ud800" + "!" * 5000)
    claimed(claims, job="a").finish("ok", 0.5)
    one, two = claims.history()
    assert (one["job"], one["outcome"], one["duration_seconds"], one["failures"]) == ("a", "ok", 0.5, 0)
    assert one["error"] is None
    assert (two["outcome"], two["error"], two["failures"], two["owner"]) == (
        "failed",
        "no? luck?" + "!" * 991,
        1,
        "one",
    )
    assert abs(one["started_at"] - time.time()) < 60


def test_how_a_run_ended_is_told_until_the_next_one_has(engine: Engine) -> None:
    """A job that fails each night is seen to fail while it runs, too."""
    claims = claims_of(engine)
    claimed(claims).finish("failed", 1, "no luck")
    shift(engine, 61)
    claim = claimed(claims)
    assert [(row["outcome"], row["error"]) for row in claims.history()] == [("failed", "no luck")]
    claim.finish("ok", 1)
    assert [(row["outcome"], row["error"]) for row in claims.history()] == [("ok", None)]


def test_two_applications_share_a_database(engine: Engine) -> None:
    """The name of the application is half of the key."""
    assert claims_of(engine, app_name="first").claim("job", every=60)
    assert claims_of(engine, app_name="second").claim("job", every=60)
    assert len(claims_of(engine, app_name="first").history()) == 1


def test_a_row_that_was_deleted_is_made_again(engine: Engine) -> None:
    """The cleanup may take the row of a job that was not run for long."""
    claims = claims_of(engine)
    claimed(claims)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM worker_runs"))
    assert claims.next_in("job") == 0
    claimed(claims)


def test_a_stricter_isolation_by_default_makes_no_errors(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """Who waited for another's claim sees it, also where the server's default is SERIALIZABLE."""
    url = f"{postgres_url}?options=-c default_transaction_isolation=serializable"
    MigrationManager(open_database(url=url).engine).ensure_tables_exist()
    fleet = [claims_of(open_database(url=url).engine, f"process-{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as threads:
        for n in range(5):
            won = list(threads.map(lambda claims, job=f"job-{n}": claims.claim(job, every=60), fleet))
            assert len([each for each in won if each]) == 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["claim", "beat", "finish", "kill", "pass"]), st.integers(0, 2), st.floats(0.5, 150.0)),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_schedule_overlaps_two_runs(engine: Engine, steps: list[tuple[str, int, float]]) -> None:
    """Whatever three processes do and however much time passes, at most one holds a living lease."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM worker_runs"))
    fleet = [claims_of(engine, f"process-{n}") for n in range(3)]
    held: dict[int, tuple[Claim, float]] = {}
    now, starts = 0.0, list[float]()
    for what, who, seconds in steps:
        if what == "pass":
            now += seconds
            shift(engine, seconds)
        elif what == "claim" and who not in held:
            claim = fleet[who].claim("job", every=60)
            if claim is not None:
                assert all(until <= now + 1 for _, until in held.values())
                starts.append(now)
                held[who] = (claim, now + 60)
        elif what == "beat" and who in held:
            held[who] = (held[who][0], now + 60) if held[who][0].heartbeat() else (held[who][0], now)
        elif what == "finish" and who in held:
            held.pop(who)[0].finish("ok", 1)
        elif what == "kill":
            held.pop(who, None)
    assert len(starts) <= now // 60 + 2
