"""Whoever is killed, silent or cut off: another process takes the run over, soon and once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database.claims import Claims
from settings.database.migrations import MigrationManager
from tests.database.claiming import claimed, claims_of, shift
from tests.servers import PostgresServer, wait_until

HOUSE = Path(__file__).parent.parent.parent
OWNER = """
import sys, time
from settings.database.claims import Claims
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.model import DatabaseSettings
settings = DatabaseSettings.model_validate({"url": sys.argv[1], "fallback_url": None})
database = DatabaseManager(SmartConnectionManager(settings, app_name="owner", strict=True))
claim = Claims(lambda: database.engine, app_name="app", owner=lambda: "victim").claim("job", every=float(sys.argv[2]))
print("claimed" if claim else "lost", flush=True)
time.sleep(600)
"""


def test_an_owner_that_dies_is_followed(engine: Engine) -> None:
    """When its lease has run out another gets the job, and the first can no longer keep or finish it."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    claim = claimed(first)
    shift(engine, 61)
    taken = claimed(second)
    assert not claim.heartbeat()
    claim.finish("failed", 1)
    (row,) = second.history()
    assert (row["owner"], row["runs"], row["failures"], row["outcome"]) == ("two", 2, 1, "abandoned")
    assert row["error"] == "its lease ran out: its process died, or did not reach the database: one"
    assert taken.heartbeat()


def test_a_claim_of_the_same_process_before_is_not_its_own(engine: Engine) -> None:
    """A run that outlived its lease does not end the run that the same process began later."""
    claims = claims_of(engine)
    stale = claimed(claims)
    shift(engine, 61)
    fresh = claimed(claims)
    stale.finish("failed", 61)
    assert not stale.heartbeat()
    assert fresh.heartbeat()


def test_a_finished_claim_cannot_be_revived(engine: Engine) -> None:
    """A heartbeat that comes late does not take the lease again."""
    claim = claimed(claims_of(engine))
    claim.finish("ok", 1)
    assert not claim.heartbeat()


def test_a_lease_is_a_minute_at_the_most(engine: Engine) -> None:
    """However long the interval, a run is another's a minute after its owner's last sign of life."""
    claims = claims_of(engine)
    assert claimed(claims, every=3600).lease_seconds == 60
    assert claimed(claims, every=2, job="short").lease_seconds == 2


def test_an_hourly_job_whose_owner_dies_is_taken_over_at_once(engine: Engine) -> None:
    """A minute after it was due another process runs it, not an hour later, and the hour stays where it was."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    claimed(first, every=3600)
    shift(engine, 50)
    assert second.claim("job", every=3600) is None
    assert 8 < second.next_in("job") <= 10
    shift(engine, 11)
    assert second.next_in("job") == 0
    claimed(second, every=3600).finish("ok", 1)
    assert 3500 < second.next_in("job") <= 3540
    assert second.claim("job", every=3600) is None


def test_a_job_that_kills_its_processes_is_taken_over_once(engine: Engine) -> None:
    """The second process that dies of it is followed at the next moment of the grid; a run that ends resets that."""
    claims = claims_of(engine)
    for _ in range(2):
        claimed(claims, every=3600)
        shift(engine, 61)
    assert claims.claim("job", every=3600) is None
    assert 3400 < claims.next_in("job") <= 3480
    shift(engine, 3480)
    claimed(claims, every=3600).finish("ok", 1)
    shift(engine, 3600)
    claimed(claims, every=3600)
    shift(engine, 61)
    claimed(claims, every=3600)


@pytest.mark.parametrize("ahead", [-140, 150])
def test_a_run_that_is_taken_over_begins_the_grid_anew(engine: Engine, ahead: float) -> None:
    """When its next moment has long passed, or the clock went back, it is one interval from now."""
    claims = claims_of(engine)
    claimed(claims, every=60)
    shift(engine, 61)
    with engine.begin() as connection:
        connection.execute(text("UPDATE worker_runs SET due_at = due_at + :s"), {"s": ahead})
    claimed(claims, every=60)
    (row,) = claims.history()
    assert row["due_at"] - row["started_at"] == pytest.approx(60)


def test_only_a_dead_run_is_taken_over(engine: Engine) -> None:
    """`take_over` leaves a job alone that is due, runs or has ended; `lease_left` says when it is worth asking."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    assert (second.take_over("job", every=600), second.lease_left("job")) == (None, None)
    claim = claimed(first, every=600)
    assert second.lease_left("other") is None
    left = second.lease_left("job")
    assert left is not None
    assert 58 < left <= 60
    assert second.take_over("job", every=600) is None
    shift(engine, 61)
    assert second.lease_left("job") == 0
    assert second.take_over("job", every=600) is not None
    claim.finish("ok", 1)
    assert second.lease_left("job")
    shift(engine, 700)
    assert second.take_over("job", every=600) is None


def test_a_run_that_is_taken_over_is_kept_and_ended_by_its_new_owner(engine: Engine) -> None:
    """It prolongs the lease and ends the run, and the next moment stays where the job's own clock has put it."""
    first, second = claims_of(engine, "one"), claims_of(engine, "two")
    claimed(first, every=600)
    shift(engine, 61)
    taken = second.take_over("job", every=600)
    assert taken is not None
    assert taken.heartbeat()
    shift(engine, 700)
    (before,) = first.history()
    taken.finish("ok", 1)
    (row,) = second.history()
    assert (row["owner"], row["outcome"], row["due_at"]) == ("two", "ok", before["due_at"])


def test_a_frozen_database_is_away(
    own_postgres: PostgresServer, open_database: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for a claim, a pause or a longer lease is told in bounded time, so that a job can say that it waits."""
    monkeypatch.setattr("settings.database.claims.LONGEST_ANSWER_SECONDS", 0.3)
    database = open_database(url=own_postgres.new_database())
    MigrationManager(database.engine).ensure_tables_exist()
    claims = Claims(
        lambda: database.engine,
        app_name="app",
        owner=lambda: "one",
        within=database.within,
        spare=lambda: database.spare_engine,
    )
    claim = claimed(claims)
    own_postgres.freeze()
    for question in (claim.heartbeat, lambda: claims.next_in("job"), lambda: claims.claim("job", every=60)):
        begin = time.monotonic()
        with pytest.raises(DBAPIError):
            question()
        assert time.monotonic() - begin < 3  # libpq counts a connect in whole seconds, two at the least
    own_postgres.thaw()
    assert claim.heartbeat()


def test_a_killed_process_is_followed_within_two_intervals(engine: Engine) -> None:
    """With SIGKILL in mid-run and real time: the job is another's before two intervals have passed."""
    every, url = 1.5, engine.url.render_as_string(hide_password=False)
    victim = subprocess.Popen(
        [sys.executable, "-c", OWNER, url, str(every)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
    )
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"claimed\n"
        claims, killed = claims_of(engine, "heir"), time.monotonic()
        victim.send_signal(signal.SIGKILL)
        wait_until(lambda: claims.claim("job", every=every) is not None, seconds=10, what="the job to be taken over")
        assert time.monotonic() - killed < 2 * every
    finally:
        victim.kill()
        victim.communicate()
