"""What is deleted when it is old: in batches, so that no deletion holds a lock for long."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    MetaData,
    Table,
    case,
    delete,
    func,
    literal_column,
    select,
    tuple_,
)

from settings.database.clock import database_now
from settings.database.tables import now, performance_alerts, process_snapshots, worker_runs
from settings.database.writing import single_statement

log = logging.getLogger(__name__)
BATCH = 1000
LONGEST_BATCH_SECONDS = 600.0
"""Enough to read a large table without an index; who waits longer waits on a connection that is frozen."""
UNKNOWN_ZONE = timedelta(days=1)
STALE_RUN_SECONDS = 30 * 86400.0
STALE_INTERVALS, LEAST_STALE_SECONDS = 3, 3600.0
"""Who wrote no snapshot for so many intervals, and for so long, is dead."""
LONGEST_INTERVAL_SECONDS = 86400.0
"""Most that WORKERS_HEALTH_INTERVAL may be, and so another application's in the same database."""
_a, _w, _s = performance_alerts.c, worker_runs.c, process_snapshots.c


class Retention:
    """Deletes what is older than its rule allows; idempotent, safe to run in several processes.

    Args:
        engine: Returns the engine in use.
        app_name: The application whose processes write a snapshot each `snapshot_seconds`.
        snapshot_seconds: Its WORKERS_HEALTH_INTERVAL.
        within: Lets all statements of a with block end after so many seconds; without it a frozen server is waited for.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        *,
        app_name: str = "app",
        snapshot_seconds: float = 30.0,
        within: Callable[[float], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._engine, self._app_name, self._within = engine, app_name, within
        self._stale_seconds = max(LEAST_STALE_SECONDS, STALE_INTERVALS * snapshot_seconds)
        self._rules: dict[str, tuple[str, int]] = {}

    def add(self, table: str, *, days: int, column: str = "created_at") -> None:
        """Keep the rows of a table of the application's for `days` after `column`; a second rule replaces the first.

        The column holds dates or times; where these have no time zone, rows are kept for a day longer, and those with
        dates for two, since nobody knows whose time it is. A rule for another column fails, and deletes nothing.

        Raises:
            ValueError: `days` is less than 1.
        """
        if days < 1:
            raise ValueError(f"rows of {table} must be kept for a day at the least, not {days}")
        self._rules[table] = (column, days)

    def delete_resolved_alerts(self, days: int, batch: int = BATCH) -> int:
        """Delete alerts that were resolved more than `days` ago, and return how many."""
        old = (_a.status == "resolved") & (_a.resolved_at < now() - timedelta(days=days))
        return self._delete(performance_alerts, old, batch)

    def run(self) -> Mapping[str, int]:
        """Delete stale runs, snapshots of dead processes and what the application's rules name; return rows by table.

        A rule that fails is logged, is not in the result, and does not stop the others.
        """
        moment = database_now(self._engine().dialect.name)
        last = func.coalesce(_w.finished_at, _w.started_at)
        stale = (last < moment - STALE_RUN_SECONDS) & (_w.due_at < moment - STALE_RUN_SECONDS)
        others = STALE_INTERVALS * LONGEST_INTERVAL_SECONDS
        dead = _s.written_at < moment - case((_s.app_name == self._app_name, self._stale_seconds), else_=others)
        deleted = {
            worker_runs.name: self._delete(worker_runs, stale, BATCH),
            process_snapshots.name: self._delete(process_snapshots, dead, BATCH),
        }
        for table, rule in tuple(self._rules.items()):
            try:
                deleted[table] = self._apply(table, *rule)
            except Exception:  # one rule's failure is its own
                log.exception("The retention rule of the table %s failed; its old rows stay.", table)
        return deleted

    def _apply(self, name: str, column: str, days: int) -> int:
        with self._within(LONGEST_BATCH_SECONDS):
            table = Table(name, MetaData(), autoload_with=self._engine())
        old = _older(table.c[column], datetime.now(UTC) - timedelta(days=days), self._engine().dialect.name)
        return self._delete(table, old, BATCH)

    def _delete(self, table: Table, old: ColumnElement[bool], batch: int) -> int:
        deleted = 0
        while found := self._delete_batch(table, old, batch):
            deleted += found
            if found < batch:
                break
        return deleted

    def _delete_batch(self, table: Table, old: ColumnElement[bool], batch: int) -> int:
        engine = self._engine()
        # a ctid is a place in one partition, and each of them has it
        place = ("rowid",) if engine.dialect.name == "sqlite" else ("tableoid", "ctid")
        keys: list[ColumnElement[Any]] = [*table.primary_key.columns] or [literal_column(name) for name in place]
        chosen = select(*keys).select_from(table).where(old).limit(batch)
        # `old` once more: a row may have been refreshed since it was chosen
        statement = delete(table).where(tuple_(*keys).in_(chosen), old)
        with self._within(LONGEST_BATCH_SECONDS), single_statement(engine).begin() as connection:
            return connection.execute(statement).rowcount


def _older(column: Column[Any], before: datetime, dialect: str) -> ColumnElement[bool]:
    """Say of a row that its moment is before this one; a day's grace where it has no time zone, another for a date.

    SQLite takes any number for smaller than any text, such as a moment's: rows with numbers are left alone.

    Raises:
        ValueError: The column holds no moments.
    """
    kind = column.type.python_type
    if kind not in (datetime, date) and (kind is not str or dialect != "sqlite"):
        raise ValueError(f"{column.name} is {column.type}, which is neither a date nor a time")
    if getattr(column.type, "timezone", False):
        return column < before
    latest = (before - UNKNOWN_ZONE * (1 if kind is datetime else 2)).replace(tzinfo=None)
    old = column < (latest.isoformat(" ") if kind is str else latest)
    return old & (func.typeof(column) == "text") if dialect == "sqlite" else old
