"""Once per fleet: a run is claimed by one conditional UPDATE on the database's own clock.

No leader and no held connection: whoever updates the row of a job owns this run, until its lease ends.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Executable,
    Integer,
    Update,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    update,
)  # fmt: skip
from sqlalchemy.dialects import postgresql, sqlite

from settings.database.clock import database_now
from settings.database.storable import storable_text
from settings.database.tables import worker_runs
from settings.database.writing import single_statement

LONGEST_LEASE_SECONDS = 60.0
LONGEST_ANSWER_SECONDS = 10.0
"""A database that is silent for so long counts as away: who waits for it must be able to say so."""
LONGEST_ERROR = 1000
ABANDONED = "abandoned"
"""Outcome of a run whose lease ran out; it stays until a run ends, and meanwhile no second one is taken over."""
_LEASE_RAN_OUT = "its lease ran out: its process died, or did not reach the database: "
_w = worker_runs.c


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a job once, until the lease ends; a heartbeat prolongs it.

    Attributes:
        claims: Where it was got.
        job: What it is for.
        every: The job's interval in seconds.
        run: Which run of the job it is, counted over all processes.
        on_grid: Whether the next run's moment follows from the interval, as that of a crontab line does not.
    """

    claims: "Claims"
    job: str
    every: float
    run: int
    on_grid: bool = True

    @property
    def lease_seconds(self) -> float:
        """How long the lease goes on without a heartbeat."""
        return min(self.every, LONGEST_LEASE_SECONDS)

    def heartbeat(self) -> bool:
        """Prolong the lease; False when the run is no longer this process's."""
        return self.claims.prolong(self)

    def finish(self, outcome: str, duration_seconds: float, error: str = "") -> None:
        """Give the lease back and record how the run ended; nothing happens when another process has taken over."""
        self.claims.release(self, outcome, duration_seconds, error)


class Claims:
    """Claims runs in `worker_runs`.

    Args:
        engine: Returns the engine in use.
        app_name: First half of every key, so that two applications may share a database.
        owner: Returns the name of this process, such as `host:pid:token`; a forked child has its own.
        within: Lets all questions of a with block end after so many seconds; without it a frozen server is waited for.
        spare: Returns an engine for heartbeats that does not wait for connections which the jobs hold; `engine` itself
            when None.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        *,
        app_name: str,
        owner: Callable[[], str],
        within: Callable[[float], AbstractContextManager[object]] = nullcontext,
        spare: Callable[[], Engine] | None = None,
    ) -> None:
        self._engine, self._app_name, self._owner, self._within = engine, app_name, owner, within
        self._spare = spare or engine

    def claim(self, job: str, *, every: float) -> Claim | None:
        """Return the right to run `job` now, or None when it is not due or another process runs it.

        A run whose owner died is due as soon as its lease has run out, however long the interval is; once, so that a
        job which kills its process does not kill the fleet. The grid does not drift: the next moment is one interval
        after the last, unless that has passed too or the clock went back (a moment more than two intervals ahead).
        """
        now = self._now()
        on_grid = (_w.due_at + every > now) & (_w.due_at <= now)
        planned = _dead(now) & (_w.due_at > now) & (_w.due_at <= now + 2 * every)
        due = or_(_w.due_at <= now, _w.due_at > now + 2 * every, _abandoned(now))
        next_at = case((on_grid, _w.due_at + every), (planned, _w.due_at), else_=now + every)
        return self._claim(Claim(self, job, every, 0), now, due, next_at)

    def claim_fire(self, job: str, *, fire: float, then: float, latest: float, every: float) -> Claim | None:
        """Return the right to do the run of one moment, such as a crontab line's, or None when it was done or runs.

        The moment itself is what is claimed: it is the same in all processes, however their clocks differ, however
        late one of them comes, and however short the run is. A run whose owner died is due as by `claim`.

        Args:
            job: The job.
            fire: The moment, in seconds since 1970.
            then: The one after it, until which there is nothing to run.
            latest: A moment that no claim goes beyond; one that does, also by the database's clock, came from a clock
                that was wrong, and holds nobody up.
            every: The seconds that bound the lease.
        """
        now = self._now()
        wrong = (_w.due_at > latest) & (_w.due_at > now + (latest - fire))
        due = or_(_w.due_at <= fire, wrong)
        next_at = case((due, literal(then)), else_=_w.due_at)
        return self._claim(Claim(self, job, every, 0, on_grid=False), now, due | _abandoned(now), next_at)

    def take_over(self, job: str, *, every: float) -> Claim | None:
        """Return the right to do a run again whose owner died, or None when there is none, or another process has it.

        Args:
            job: A job that comes due by another clock than this one's, such as a crontab line.
            every: The seconds that bound the lease.
        """
        now = self._now()
        return self._claim(Claim(self, job, every, 0, on_grid=False), now, _abandoned(now), _w.due_at)

    def lease_left(self, job: str) -> float | None:
        """Return the seconds until the lease of a run that has not ended runs out, 0 when it has; None without one."""
        now = self._now()
        open_run = (_w.lease_until > now) | _abandoned(now)
        seconds = self._read(select(_w.lease_until - now).where(self._key(job), open_run))
        return None if seconds is None else max(0.0, seconds)

    def next_in(self, job: str) -> float:
        """Return the seconds until it is worth asking for `job` again, by the database's clock; 0 when it is due."""
        now = self._now()
        moment = case((_w.lease_until > now, _w.lease_until), (_abandoned(now), now), else_=_w.due_at)
        return max(0.0, self._read(select(moment - now).where(self._key(job))) or 0.0)

    def prolong(self, claim: Claim) -> bool:
        """Move the end of a lease that is still this process's."""
        until = self._now() + claim.lease_seconds
        longer = self._mine(claim).values(lease_until=until).returning(_w.runs)
        return self._run(longer, self._spare()) is not None

    def release(self, claim: Claim, outcome: str, duration_seconds: float, error: str) -> None:
        """End a lease that is still this process's, with the run's history.

        A job that took longer than its interval rests until the next point of the grid.
        """
        now = self._now()
        values = {
            "lease_until": 0.0, "finished_at": now, "outcome": outcome, "duration_seconds": duration_seconds,
            "error": storable_text(error, LONGEST_ERROR) or None,
            "due_at": self._next_point(now, claim.every) if claim.on_grid else _w.due_at,
            "failures": _w.failures + (1 if outcome == "failed" else 0),
        }  # fmt: skip
        self._run(self._mine(claim).values(**values).returning(_w.runs))

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of this application's jobs, times in seconds since 1970."""
        with self._engine().connect() as connection:
            rows = connection.execute(select(worker_runs).where(_w.app_name == self._app_name).order_by(_w.job))
            return [dict(row) for row in rows.mappings()]

    def _claim(
        self, wanted: Claim, now: ColumnElement[float], due: ColumnElement[bool], next_at: ColumnElement[float]
    ) -> Claim | None:
        lease, dead = wanted.lease_seconds, _dead(now)
        free = or_(_w.lease_until <= now, _w.lease_until > now + 2 * lease)
        values: dict[str, Any] = {
            "owner": self._owner(), "lease_until": now + lease, "started_at": now, "runs": _w.runs + 1,
            "due_at": next_at,
            "outcome": case((dead, ABANDONED), else_=_w.outcome), "failures": _w.failures + case((dead, 1), else_=0),
            "error": case((dead, literal(_LEASE_RAN_OUT) + _w.owner), else_=_w.error),
        }  # fmt: skip
        statement = update(worker_runs).where(self._key(wanted.job), due, free).values(**values).returning(_w.runs)
        run = self._run(statement)
        if run is None and self._make_row(wanted.job):
            run = self._run(statement)
        return None if run is None else replace(wanted, run=run)

    def _next_point(self, now: ColumnElement[float], every: float) -> ColumnElement[float]:
        """Return the next moment of a job's grid, or the one it has when that is yet to come."""
        passed = (now - _w.due_at) / every
        whole = cast(passed, Integer) if self._engine().dialect.name == "sqlite" else func.floor(passed)
        return case((_w.due_at <= now, _w.due_at + every * (whole + 1)), else_=_w.due_at)

    def _now(self) -> ColumnElement[float]:
        return database_now(self._engine().dialect.name)

    def _key(self, job: str) -> ColumnElement[bool]:
        return (_w.app_name == self._app_name) & (_w.job == job)

    def _mine(self, claim: Claim) -> Update:
        held = (_w.owner == self._owner()) & (_w.runs == claim.run) & (_w.lease_until > 0)
        return update(worker_runs).where(self._key(claim.job), held)

    def _make_row(self, job: str) -> bool:
        """Insert the row of a job; False when it is there."""
        insert = (postgresql if self._engine().dialect.name == "postgresql" else sqlite).insert(worker_runs)
        row = insert.values(app_name=self._app_name, job=job).on_conflict_do_nothing()
        return self._run(row.returning(_w.runs)) is not None

    def _run(self, statement: Executable, engine: Engine | None = None) -> int | None:
        """Run one statement in a transaction of its own and return the number of the run, or None."""
        engine = single_statement(engine or self._engine())
        with self._within(LONGEST_ANSWER_SECONDS), engine.begin() as connection:
            run: int | None = connection.execute(statement).scalar()
        return run

    def _read(self, question: Executable) -> float | None:
        with self._within(LONGEST_ANSWER_SECONDS), self._engine().connect() as connection:
            seconds: float | None = connection.execute(question).scalar()
        return seconds


def _dead(now: ColumnElement[float]) -> ColumnElement[bool]:
    """Say of a row that its run has not ended, and that nobody keeps its lease."""
    return (_w.lease_until > 0) & (_w.lease_until <= now)


def _abandoned(now: ColumnElement[float]) -> ColumnElement[bool]:
    """Say of a row that its run is dead, and that it may be taken over."""
    return _dead(now) & _w.outcome.is_distinct_from(ABANDONED)
