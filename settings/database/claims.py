"""Once per fleet: a run is claimed by one conditional UPDATE on the database's own clock.

No leader and no held connection: whoever updates the row of a job owns this run, until its lease ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Update, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from settings.database.clock import database_now
from settings.database.tables import worker_runs

LONGEST_LEASE_SECONDS = 60.0
_w = worker_runs.c


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a job once, until the lease ends; a heartbeat prolongs it."""

    claims: "Claims"
    job: str
    lease_seconds: float

    def heartbeat(self) -> bool:
        """Prolong the lease; False when the run is no longer this process's."""
        return self.claims.prolong(self)

    def finish(self, outcome: str, duration_seconds: float, error: str = "") -> None:
        """Give the lease back and record how the run ended."""
        self.claims.release(self, outcome, duration_seconds, error)


class Claims:
    """Claims runs in `worker_runs`.

    Args:
        engine: Returns the engine in use.
        app_name: First half of every key, so that two applications may share a database.
        owner: Returns the name of this process, such as `host:pid:token`; a forked child has its own.
    """

    def __init__(self, engine: Callable[[], Engine], *, app_name: str, owner: Callable[[], str]) -> None:
        self._engine, self._app_name, self._owner = engine, app_name, owner

    def claim(self, job: str, *, every: float) -> Claim | None:
        """Return the right to run `job` now, or None when it is not due or another process runs it.

        The grid does not drift: the next moment is one interval after the last, unless that has passed too or the
        clock went back (a moment more than two intervals ahead).
        """
        engine = self._engine()
        now, lease = database_now(engine.dialect.name), min(every, LONGEST_LEASE_SECONDS)
        self._make_row(engine, job)
        due = or_(_w.due_at <= now, _w.due_at > now + 2 * every)
        free = or_(_w.lease_until <= now, _w.lease_until > now + 2 * lease)
        on_grid = (_w.due_at + every > now) & (_w.due_at <= now)
        values: dict[str, Any] = {
            "owner": self._owner(), "lease_until": now + lease, "started_at": now, "runs": _w.runs + 1,
            "due_at": case((on_grid, _w.due_at + every), else_=now + every),
        }  # fmt: skip
        won = self._update(engine, update(worker_runs).where(self._key(job), due, free).values(**values))
        return Claim(self, job, lease) if won else None

    def next_in(self, job: str) -> float:
        """Return the seconds until `job` may be claimed, by the database's clock; 0 when it is due."""
        engine = self._engine()
        now = database_now(engine.dialect.name)
        greatest = func.max if engine.dialect.name == "sqlite" else func.greatest
        with engine.connect() as connection:
            seconds = connection.execute(
                select(greatest(_w.due_at, _w.lease_until) - now).where(self._key(job))
            ).scalar()
        return max(0.0, float(seconds or 0.0))

    def prolong(self, claim: Claim) -> bool:
        """Move the end of a lease that is still this process's."""
        engine = self._engine()
        lease = database_now(engine.dialect.name) + claim.lease_seconds
        return self._update(engine, self._mine(claim.job).values(lease_until=lease))

    def release(self, claim: Claim, outcome: str, duration_seconds: float, error: str) -> None:
        """End a lease that is still this process's, with the run's history."""
        engine = self._engine()
        values = {
            "lease_until": 0.0, "owner": None, "finished_at": database_now(engine.dialect.name), "outcome": outcome,
            "duration_seconds": duration_seconds, "error": error or None,
            "failures": _w.failures + (1 if outcome == "failed" else 0),
        }  # fmt: skip
        self._update(engine, self._mine(claim.job).values(**values))

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of this application's jobs, times in seconds since 1970."""
        with self._engine().connect() as connection:
            rows = connection.execute(select(worker_runs).where(_w.app_name == self._app_name).order_by(_w.job))
            return [dict(row) for row in rows.mappings()]

    def _key(self, job: str) -> ColumnElement[bool]:
        return (_w.app_name == self._app_name) & (_w.job == job)

    def _mine(self, job: str) -> Update:
        return update(worker_runs).where(self._key(job), _w.owner == self._owner())

    def _make_row(self, engine: Engine, job: str) -> None:
        with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(worker_runs)
            connection.execute(insert.values(app_name=self._app_name, job=job).on_conflict_do_nothing())

    def _update(self, engine: Engine, statement: Update) -> bool:
        with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            return bool(connection.execute(statement).rowcount == 1)
