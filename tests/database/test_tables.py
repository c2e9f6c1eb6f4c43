"""Moments keep their time zone on both dialects."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import StatementError

from settings.database.migrations import MigrationManager
from settings.database.tables import performance_alerts

MOMENT = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))


@pytest.fixture
def engine(each_url: str, open_database: Callable[..., Any]) -> Engine:
    """An engine on a database with the schema, of each kind."""
    made: Engine = open_database(url=each_url).engine
    MigrationManager(made).ensure_tables_exist()
    return made


def test_moments_come_back_in_utc(engine: Engine) -> None:
    """Whatever zone was written, the same moment is read, to the microsecond, as UTC."""
    values = {"alert_type": "t", "severity": "low", "title": "T", "first_occurrence": MOMENT}
    with engine.begin() as connection:
        connection.execute(performance_alerts.insert().values(values))
        row = connection.execute(select(performance_alerts)).one()
    assert row.first_occurrence == MOMENT
    assert row.first_occurrence.tzinfo is not None
    assert row.first_occurrence.utcoffset() == timedelta(0)
    assert abs(row.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert row.resolved_at is None
    assert (row.status, row.endpoint, row.service_name, row.occurrence_count) == ("active", "", "", 1)


def test_a_row_by_hand_needs_no_more_than_what_it_is_about(engine: Engine) -> None:
    """Whoever writes SQL leaves the times to the database."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO performance_alerts (alert_type, severity, title) VALUES ('t', 'low', 'T')"
        )
        row = connection.execute(select(performance_alerts)).one()
    for moment in (row.first_occurrence, row.last_occurrence, row.created_at, row.updated_at):
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_naive_moment_is_refused(engine: Engine) -> None:
    """It could mean any moment of a day."""
    values = {"alert_type": "t", "severity": "low", "title": "T", "first_occurrence": MOMENT.replace(tzinfo=None)}
    with engine.begin() as connection, pytest.raises(StatementError, match="without time zone"):
        connection.execute(performance_alerts.insert().values(values))


def test_ids_go_on_counting_beyond_32_bits(postgres_url: str, open_database: Callable[..., Any]) -> None:
    """Upserts burn a value of the sequence each, so PostgreSQL's ids have 64 bits."""
    engine = open_database(url=postgres_url).engine
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT setval('performance_alerts_id_seq', 3000000000)")
        connection.execute(performance_alerts.insert().values(alert_type="t", severity="low", title="T"))
        assert connection.execute(select(performance_alerts.c.id)).scalar_one() == 3000000001
