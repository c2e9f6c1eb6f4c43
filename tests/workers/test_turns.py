"""What a job does when its turn comes, and when the next one is, with clocks that the test moves."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from settings.workers.board import Board
from settings.workers.claiming import ClaimsWatch
from settings.workers.context import ApplicationContextManager
from settings.workers.jobs import define_job
from settings.workers.runs import Runner
from settings.workers.turns import Turns
from tests.workers.conftest import FakeClaims, Open, claims_of, no_more_threads


class _Table:
    """Turns of one process on a clock that the test moves."""

    def __init__(self, claims: Any) -> None:
        self.now, self.slept, self.ran = 0.0, [0.0], 0
        self.board, self.fails = Board(), False
        context = ApplicationContextManager(Flask("tests"))
        self.turns = Turns(
            self.board,
            Runner(context),
            claims,
            ClaimsWatch(lambda: self.now),
            clock=lambda: self.now,
            chance=lambda: 0.0,
            sleep=self.slept.append,
        )

    def job(self, **options: Any) -> float:
        """Register the job and return its first pause."""
        given: dict[str, Any] = dict.fromkeys(("every", "cron", "timeout", "jitter", "first"))
        self.board.add(define_job(self._run, **{**given, "name": "job", "once": False, **options}))
        return self.turns.first_pause(self.board.definition("job"))

    def _run(self) -> None:
        self.ran += 1
        if self.fails:
            raise ValueError("no")

    def take(self) -> float:
        """Give the job its turn."""
        pause = self.turns.take("job")
        assert pause is not None
        return pause


def test_first_turn_is_told_before_it_comes() -> None:
    """Whoever looks at a job that has not run yet sees when it will."""
    table = _Table(FakeClaims())
    table.job(every=60)
    next_run = table.board.status("job").next_run
    assert next_run is not None
    assert timedelta(seconds=50) < next_run - datetime.now(UTC) <= timedelta(seconds=60)


def test_job_keeps_its_grid_however_long_it_takes() -> None:
    """A turn that comes late does not shift the later ones."""
    table = _Table(FakeClaims())
    assert table.job(every=10) == 10
    for late in (0, 3, 9.5):
        table.now = table.now // 10 * 10 + 10 + late
        assert table.take() == pytest.approx(10 - late)
    assert table.ran == 3


def test_missed_turns_are_made_up_for_once() -> None:
    """After an hour asleep a job of each ten seconds runs once, and waits for its grid."""
    table = _Table(FakeClaims())
    table.job(every=10)
    table.now = 3604
    assert table.take() == pytest.approx(6)
    assert table.ran == 1


def test_turn_that_comes_too_early_waits() -> None:
    """A turn before the job's time runs nothing and says how long is left."""
    table = _Table(FakeClaims())
    table.job(every=10)
    table.now = 4
    assert (table.take(), table.ran) == (6, 0)


def test_job_that_fails_in_a_row_rests_longer_and_longer() -> None:
    """From the second failure on the pauses double up to an hour; a success ends it."""
    table = _Table(FakeClaims())
    table.job(every=10)
    table.fails = True
    pauses: list[float] = []
    for _ in range(12):
        table.now += pauses[-1] if pauses else 10
        pauses.append(table.take())
    assert pauses[:5] == pytest.approx([10, 20, 40, 80, 160])
    assert max(pauses) == 3600
    table.fails = False
    table.now += pauses[-1]
    assert table.take() == pytest.approx(10)


def test_job_of_the_fleet_that_fails_in_a_row_is_left_to_others() -> None:
    """A process runs it after 10, 20, 40 s and so on, although the claims would let it sooner; a success ends that."""
    claims = FakeClaims()
    claims.pauses["job"] = 10
    table = _Table(claims)
    table.job(every=10, once=True)
    table.fails, began = True, list[float]()
    while len(began) < 8:
        runs = table.ran
        pause = table.take()
        began += [table.now] * (table.ran - runs)
        assert 0 < pause <= 60
        table.now += pause
    assert [later - earlier for earlier, later in pairwise(began)] == pytest.approx([10, 20, 40, 80, 160, 320, 640])
    assert table.turns.run_due("job") is None
    table.now += 1280
    table.fails = False
    assert [table.take(), table.take()] == [10, 10]
    assert table.ran == 10


def test_pauses_grow_while_the_claims_are_away() -> None:
    """Half a second at first, doubled up to the interval, at most 15 s; all at half, since the jitter draws nothing."""
    claims = FakeClaims()
    table = _Table(claims)
    table.job(every=60, once=True)
    claims.error = ConnectionError("away")
    assert [table.take() for _ in range(8)] == [0.25, 0.5, 1, 2, 4, 7.5, 7.5, 7.5]
    claims.error = None
    table.take()
    claims.error = ConnectionError("away")
    assert table.take() == 0.25


def test_cron_job_of_the_fleet_does_not_run_at_its_start(open_database: Open) -> None:
    """A line that fires in the far future runs nothing now, although no process has ever claimed it."""
    table = _Table(claims_of(open_database(), "a"))
    assert table.job(cron="0 3 29 2 *", once=True) == 60
    assert (table.take(), table.ran) == (60, 0)
    next_run = table.board.status("job").next_run
    assert next_run is not None
    assert (next_run.month, next_run.day, next_run.hour) == (2, 29, 3)


def test_cron_job_of_the_fleet_runs_once_when_it_fires(open_database: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time has come one of three processes runs it, and all wait for the next time."""
    database = open_database()
    tables = [_Table(claims_of(database, owner)) for owner in "abc"]
    for table in tables:
        table.job(cron="0 3 * * *", once=True)
        monkeypatch.setitem(table.turns._fires, "job", datetime.now(UTC) - timedelta(seconds=1))
    pauses = [table.take() for table in tables]
    assert sum(table.ran for table in tables) == 1
    assert all(0 < pause <= 60 for pause in pauses)


def test_cron_job_whose_owner_died_is_done_again_before_its_next_time(open_database: Open) -> None:
    """Another process takes the run over as soon as the lease has run out, not the next night."""
    database = open_database()
    assert claims_of(database, "dead").claim("job", every=40000)
    table = _Table(claims_of(database, "heir"))
    table.job(cron="0 3 29 2 *", once=True)
    assert (40 < table.take() <= 60, table.ran) == (True, 0)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE worker_runs SET lease_until = lease_until - 61"))
    assert (table.take(), table.ran) == (60, 1)
    assert (table.take(), table.ran) == (60, 1)
    (row,) = claims_of(database, "heir").history()
    assert (row["outcome"], row["owner"], row["failures"]) == ("ok", "heir", 1)


def test_end_of_a_run_is_written_down_once_the_database_is_back() -> None:
    """The claim is given back after an outage; otherwise another process would do the run again."""
    claims, refusals = FakeClaims(), [ConnectionError("away")] * 3

    def refuse() -> None:
        if refusals:
            raise refusals.pop()

    claims.before_finish = refuse
    table = _Table(claims)
    table.job(every=3600, once=True)
    table.take()
    assert (claims.finished, table.ran) == ([("job", "ok")], 1)
    assert table.slept[1:] == [0.25, 0.5, 1.0]
    assert table.board.status("job").detail == ""


def test_end_of_a_run_keeps_another_engine_waiting_for_a_minute_at_most() -> None:
    """A worker of Celery is not held for as long as the database is away."""
    claims = FakeClaims()
    table = _Table(claims)

    def refuse() -> None:
        table.now += 30
        raise ConnectionError("away")

    claims.before_finish = refuse
    table.job(every=3600, once=True)
    assert table.turns.run_due("job") is None
    assert (table.ran, table.now) == (1, 60)
    assert table.board.status("job").detail.startswith("waits")


@pytest.mark.parametrize("refused", ["lease-", "limit-"])
def test_run_that_cannot_be_watched_is_given_back(
    open_database: Open, refused: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When no more threads can be had the run is noted as failed, aloud, and the claim is free for the next one."""
    table = _Table(claims_of(open_database(), "a"))
    table.job(every=3600, once=True, timeout=60)
    with monkeypatch.context() as short:
        no_more_threads(short, refused)
        table.take()
    assert table.ran == 0
    (row,) = claims_of(open_database(), "b").history()
    assert (row["outcome"], row["lease_until"], row["error"]) == ("failed", 0, "RuntimeError: can't start new thread")
    assert (table.board.status("job").state, table.board.status("job").failures) == ("idle", 1)
    assert caplog.messages == ["Worker job cannot be watched and is not run: RuntimeError: can't start new thread"]


def test_tick_that_comes_a_moment_early_waits_for_its_time() -> None:
    """Another engine's tick just before the due time is not lost; one long before it is."""

    class Early(FakeClaims):
        asked = 0

        def claim(self, job: str, *, every: float) -> Any:
            """Grant the second one."""
            self.asked += 1
            return None if self.asked == 1 else super().claim(job, every=every)

    for left, ran in ((0.2, 1), (5.0, 0)):
        claims = Early()
        claims.pauses["job"] = left
        table = _Table(claims)
        table.job(every=10, once=True)
        result = table.turns.run_due("job")
        assert (result is not None, table.ran) == (bool(ran), ran)
        assert table.slept[-1] == (left if ran else 0.0)
