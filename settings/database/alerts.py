"""The rows of `performance_alerts`: raised by upsert, so that many processes make one row and a true count."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from settings.database.storable import storable, storable_number, storable_text
from settings.database.tables import OPEN, now, performance_alerts
from settings.database.writing import single_statement

log = logging.getLogger(__name__)
_a = performance_alerts.c
SEVERITIES = ("low", "medium", "high", "critical")
STATUSES = ("active", "acknowledged", "resolved")
LONGEST_ANSWER_SECONDS = 30.0
"""A statement that takes longer waits on a connection that is frozen: a job that runs it fails, and is run again."""

Row = Mapping[str, Any]
"""One alert: the columns of the table by name."""


class Alerts:
    """Raises, lists, acknowledges and resolves alerts; safe to use from any thread and any number of processes.

    Args:
        engine: Returns the engine in use.
        within: Lets all statements of a with block end after so many seconds; without it a frozen server is waited for.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        *,
        within: Callable[[float], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._engine, self._within = engine, within
        self._subscribers: list[Callable[[Row], object]] = []

    def subscribe(self, callback: Callable[[Row], object]) -> None:
        """Call `callback` with each alert that this process raised and that was not open before."""
        self._subscribers.append(callback)

    def raise_alert(
        self,
        alert_type: str,
        *,
        severity: str,
        title: str,
        description: str = "",
        endpoint: str = "",
        service_name: str = "",
        metric_value: float | None = None,
        threshold_value: float | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> bool:
        """Raise an alert, or raise it again: one unresolved row for a type, service and endpoint, with a count.

        Texts that are longer than their column are cut, and what no database can hold is replaced: a NUL or half a
        surrogate pair by `?`, a number that is not finite by none, another object of `metadata` by its text.

        Returns:
            Whether it is new.

        Raises:
            ValueError: The severity is none of low, medium, high, critical.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity {severity!r} is none of {', '.join(SEVERITIES)}")
        values = {
            "alert_type": storable_text(alert_type, 50), "severity": severity, "title": storable_text(title, 255),
            "description": storable_text(description), "endpoint": storable_text(endpoint, 255),
            "service_name": storable_text(service_name, 100), "metric_value": storable_number(metric_value),
            "threshold_value": storable_number(threshold_value), "alert_metadata": storable(metadata),
        }  # fmt: skip
        row = self._upsert(values)
        new = int(row["occurrence_count"]) == 1
        if new:
            self._tell(row)
        return new

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Row]:
        """Return alerts, those that came last first; `status` may be `open` for all that are not resolved.

        Raises:
            ValueError: The status is none of those.
        """
        wanted = select(performance_alerts).order_by(_a.last_occurrence.desc(), _a.id.desc()).limit(limit)
        if status == "open":
            wanted = wanted.where(_a.status != "resolved")
        elif status is not None and status not in STATUSES:
            raise ValueError(f"status {status!r} is none of open, {', '.join(STATUSES)}")
        elif status is not None:
            wanted = wanted.where(_a.status == status)
        with self._within(LONGEST_ANSWER_SECONDS), self._engine().connect() as connection:
            return [dict(row) for row in connection.execute(wanted).mappings()]

    def acknowledge(self, id: int, by: str) -> bool:  # noqa: A002 - the name of the column
        """Note that somebody looks after an active alert; False when there is none of that id."""
        values = {"status": "acknowledged", "acknowledged_by": storable_text(by, 255), "acknowledged_at": now()}
        return self._update((_a.id == id) & (_a.status == "active"), values) == 1

    def resolve(self, id: int) -> bool:  # noqa: A002 - the name of the column
        """Note that the cause of an alert is gone; False when no unresolved one has that id."""
        return self._update((_a.id == id) & (_a.status != "resolved"), _resolved()) == 1

    def resolve_stale(self, alert_type: str, older_than_seconds: float) -> int:
        """Resolve the alerts of a type that were not raised again for so long, and return how many."""
        before = now() - timedelta(seconds=older_than_seconds)
        stale = (_a.alert_type == alert_type) & (_a.status != "resolved") & (_a.last_occurrence < before)
        return self._update(stale, _resolved())

    def _upsert(self, values: Mapping[str, object]) -> Row:
        engine, moment = self._engine(), now()
        insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(performance_alerts)
        again = {name: values[name] for name in ("severity", "title", "description", "metric_value", "threshold_value",
                                                 "alert_metadata")}  # fmt: skip
        statement = insert.values(**values, first_occurrence=moment, last_occurrence=moment).on_conflict_do_update(
            index_elements=[_a.alert_type, _a.service_name, _a.endpoint],
            index_where=OPEN,
            set_={
                **again,
                "occurrence_count": _a.occurrence_count + 1,
                "last_occurrence": moment,
                "updated_at": moment,
            },
        )
        with self._within(LONGEST_ANSWER_SECONDS), single_statement(engine).begin() as connection:
            return dict(connection.execute(statement.returning(*performance_alerts.c)).mappings().one())

    def _update(self, where: ColumnElement[bool], values: Mapping[str, object]) -> int:
        with self._within(LONGEST_ANSWER_SECONDS), single_statement(self._engine()).begin() as connection:
            return connection.execute(update(performance_alerts).where(where).values(**values)).rowcount

    def _tell(self, row: Row) -> None:
        for callback in tuple(self._subscribers):
            try:
                callback(row)
            except Exception:  # a listener's failure is its own
                log.exception("a listener to new alerts failed")


def _resolved() -> dict[str, datetime | str]:
    return {"status": "resolved", "resolved_at": now()}
