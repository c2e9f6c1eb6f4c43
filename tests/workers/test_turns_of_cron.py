"""Cron jobs of the fleet: one run for each moment of the line, whatever the clocks and pauses of the processes are."""

import random
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import Engine, Float, literal

from settings.database.claims import Claims
from settings.workers.board import Board
from settings.workers.claiming import ClaimsWatch
from settings.workers.context import ApplicationContextManager
from settings.workers.jobs import define_job
from settings.workers.runs import Runner
from settings.workers.turns import Turns
from tests.workers.conftest import Open

START = datetime(2026, 3, 4, 11, 59, 30, tzinfo=UTC)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class _Fleet:
    """Processes that share a database, and time that the test moves: the database's, and each process's with its error.

    Attributes:
        now: The time, which is the database's.
        away: Processes that do not reach the database.
        runs: Process and time of each run.
    """

    def __init__(self, engine: Engine) -> None:
        self.now, self.away, self.runs = START, set[str](), list[tuple[str, datetime]]()
        self._engine, self._turns, self._dues = engine, dict[str, Turns](), dict[str, datetime]()

    def add(self, name: str, line: str, *, skew: float = 0.0) -> Turns:
        """Start a process whose clock is wrong by so many seconds."""
        board = Board()
        board.add(define_job(lambda: self.runs.append((name, self.now)), every=None, cron=line, name="job", once=True,
                             timeout=None, jitter=None, first=None))  # fmt: skip
        turns = self._turns[name] = Turns(
            board,
            Runner(ApplicationContextManager(Flask("tests"))),
            self.claims(name),
            ClaimsWatch(lambda: 0.0),
            wall=lambda: self.now + timedelta(seconds=skew),
            chance=random.Random(name).random,
            sleep=self.rest,
        )
        self._dues[name] = self.now + timedelta(seconds=turns.first_pause(board.definition("job")))
        return turns

    def claims(self, name: str) -> Claims:
        """Return the claims of a process."""
        return Claims(partial(self._reached_by, name), app_name="tests", owner=lambda: name)

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def claim_and_die(self) -> None:
        """Let another process claim the run of noon in an hourly job, and not be heard of again."""
        self.now = NOON
        fire, then, latest = ((NOON + hours * HOUR).timestamp() for hours in (0, 1, 3))
        assert self.claims("dead").claim_fire("job", fire=fire, then=then, latest=latest, every=1800)

    def live(self, until: datetime) -> None:
        """Give each process its turns until then."""
        while min(self._dues.values()) <= until:
            name = min(self._dues, key=self._dues.__getitem__)
            self.now = max(self.now, self._dues[name])
            pause = self._turns[name].take("job")
            assert pause is not None
            self._dues[name] = self.now + timedelta(seconds=pause)
        self.now = until

    def minutes(self) -> list[float]:
        """Return when the runs were, in whole minutes after noon."""
        return [round((at - NOON) / MINUTE) for _, at in self.runs]

    def _reached_by(self, name: str) -> Engine:
        if name in self.away:
            raise ConnectionError("away")
        return self._engine


@pytest.fixture
def fleet(open_database: Open, monkeypatch: pytest.MonkeyPatch) -> _Fleet:
    """A fleet without processes, whose time begins half a minute before noon."""
    made = _Fleet(open_database().engine)
    moment = "settings.database.claims.database_now"
    monkeypatch.setattr(moment, lambda _dialect: literal(made.now.timestamp(), Float))
    return made


@pytest.mark.parametrize("skew", [0.0, 20.0])
@pytest.mark.parametrize(("line", "gap", "number"), [("* * * * *", MINUTE, 20), ("0 * * * *", HOUR, 3)])
def test_each_moment_is_run_once(fleet: _Fleet, line: str, gap: timedelta, number: int, skew: float) -> None:
    """For many moments in a row, with pauses that vary and clocks that differ; none is run twice, none is lost."""
    for name, wrong in (("a", 0.0), ("b", skew), ("c", -skew)):
        fleet.add(name, line, skew=wrong)
    fleet.live(NOON + (number - 1) * gap + MINUTE / 2)
    assert fleet.minutes() == [n * gap / MINUTE for n in range(number)]
    assert len({name for name, _ in fleet.runs}) > 1 or skew


def test_process_that_comes_back_late_runs_nothing_again(fleet: _Fleet) -> None:
    """More than half a gap after a run of another process it leaves that run alone, and takes part in the next."""
    fleet.add("a", "0 * * * *")
    fleet.add("b", "0 * * * *")
    fleet.away = {"b"}
    fleet.live(NOON + 40 * MINUTE)
    fleet.away = set()
    fleet.live(NOON + 59 * MINUTE)
    assert fleet.minutes() == [0]
    fleet.away = {"a"}
    fleet.live(NOON + 61 * MINUTE)
    assert [name for name, _ in fleet.runs] == ["a", "b"]


def test_moment_that_all_missed_is_made_up_for_once(fleet: _Fleet) -> None:
    """After an outage over two of its times an hourly job is run once, and then at its hours."""
    for name in "ab":
        fleet.add(name, "0 * * * *")
    fleet.away = {"a", "b"}
    fleet.live(NOON + 70 * MINUTE)
    fleet.add("c", "0 * * * *")
    fleet.away = set()
    fleet.live(NOON + 125 * MINUTE)
    assert fleet.minutes() == [70, 120]


def test_late_run_takes_nothing_from_the_next(fleet: _Fleet) -> None:
    """A run shortly before the next moment, made up for after an outage, does not block that moment."""
    for name in "ab":
        fleet.add(name, "* * * * *")
    fleet.away = {"a", "b"}
    fleet.live(NOON + timedelta(seconds=40))
    fleet.away = set()
    fleet.live(NOON + timedelta(seconds=90))
    assert [at < NOON + MINUTE for _, at in fleet.runs] == [True, False]


def test_ticks_of_two_beats_are_one_run(fleet: _Fleet) -> None:
    """Two ticks for each moment, and workers whose clocks differ: each moment is run once."""
    workers = [fleet.add(name, "* * * * *", skew=wrong) for name, wrong in (("a", -20.0), ("b", 0.0), ("c", 20.0))]
    chance = random.Random(1)
    for number in range(12):
        for late in sorted(chance.uniform(0, 1) for _ in range(2)):
            fleet.now = max(fleet.now, NOON + number * MINUTE + timedelta(seconds=late))
            chance.choice(workers).run_due("job")
    assert fleet.minutes() == list(range(12))


def test_run_whose_process_died_is_done_again_soon_and_once(fleet: _Fleet) -> None:
    """Within two minutes of the time it was due, and the hours stay."""
    for name in "ab":
        fleet.add(name, "0 * * * *")
    fleet.claim_and_die()
    fleet.live(NOON + 70 * MINUTE)
    assert len(fleet.runs) == 2
    assert MINUTE <= fleet.runs[0][1] - NOON < 2 * MINUTE
    assert fleet.minutes()[1] == 60


def test_process_that_comes_late_takes_over_what_died(fleet: _Fleet) -> None:
    """It need not wait for its next turn when the lease has run out before its own came."""
    fleet.add("a", "0 * * * *")
    fleet.claim_and_die()
    fleet.rest(61)
    fleet.live(fleet.now)
    assert fleet.minutes() == [1]
