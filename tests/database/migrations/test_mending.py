"""What was dropped or altered by hand is found at the next boot, and mended where that loses nothing."""

import pytest
from sqlalchemy import Engine, text

from settings.database.migrations import MigrationManager
from settings.probe import HealthStatus
from tests.database.migrations.by_hand import INDEXES, SEVERITY, alter_check, boot, found, run, titles, without


def test_dropped_indexes_come_back(migrated: Engine) -> None:
    """Each index is found missing by name, printed, and made again as it is defined."""
    run(migrated, *(f"DROP INDEX {name}" for name in INDEXES))
    expected = [f"index {name} of performance_alerts is missing" for name in INDEXES]
    manager = MigrationManager(migrated)
    assert manager.pending() == expected
    assert all(name in manager.sql() for name in INDEXES)
    assert manager.reading().code == "migration-drift"
    assert boot(migrated).mended == expected
    assert manager.reading().status is HealthStatus.HEALTHY


@pytest.mark.parametrize(
    "definition",
    ["(alert_type)", "(alert_type, service_name, endpoint)", "(alert_type, service_name, endpoint) WHERE status = 'x'"],
)
def test_an_altered_index_is_put_right(migrated: Engine, definition: str) -> None:
    """Other columns, or another predicate of a unique index, are found by the definition."""
    run(migrated, "DROP INDEX uq_performance_alerts_open",
        f"CREATE UNIQUE INDEX uq_performance_alerts_open ON performance_alerts {definition}")  # fmt: skip
    assert boot(migrated).mended == ["index uq_performance_alerts_open of performance_alerts was changed by hand"]


def test_an_index_that_rows_break_is_reported(migrated: Engine) -> None:
    """Two open alerts of one key: nothing is deleted, and the statement to run is named."""
    run(migrated, "DROP INDEX uq_performance_alerts_open",
        "INSERT INTO performance_alerts (alert_type, severity, title, first_occurrence, last_occurrence, created_at,"
        " updated_at) SELECT alert_type, severity, 'Again', first_occurrence, last_occurrence, created_at, updated_at"
        " FROM performance_alerts")  # fmt: skip
    result = boot(migrated)
    assert result.status == "drift"
    assert result.mended == []
    assert "run: CREATE UNIQUE INDEX uq_performance_alerts_open ON performance_alerts" in result.reported[0]
    assert found(migrated, result) == [("slow", "", "", 2)]
    assert sorted(titles(migrated)) == ["Again", "Slow"]


@pytest.mark.parametrize("table", ["performance_alerts", "worker_runs", "process_snapshots"])
def test_a_dropped_table_comes_back(migrated: Engine, table: str) -> None:
    """A table that is not there is made with all that belongs to it."""
    run(migrated, f"DROP TABLE {table}")
    assert MigrationManager(migrated).check_missing_tables() == [table]
    assert MigrationManager(migrated).reading().cause == f"pending: {table}"
    assert boot(migrated).mended == [f"table {table} is missing"]


def test_a_column_that_was_dropped_comes_back(migrated: Engine) -> None:
    """A column that may be empty is added, and the rows stay."""
    run(migrated, *without(migrated, "alert_metadata"))
    assert boot(migrated).status == "ok"
    assert titles(migrated) == ["Slow"]


@pytest.mark.parametrize("column", ["title", "severity", "first_occurrence", "status", "occurrence_count"])
def test_a_column_that_must_be_filled_is_reported(migrated: Engine, column: str) -> None:
    """What was in it nobody knows, a default neither: the rows stay, and the statements that give them a value run."""
    run(migrated, *without(migrated, column))
    result = boot(migrated)
    assert result.status == "drift"
    assert f"column {column} of performance_alerts is missing" in result.reported[0]
    assert "rows need some" in result.reported[0]
    run(migrated, *result.reported[0].partition("; run: ")[2].split(";"))
    assert boot(migrated).status == "ok"
    with migrated.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM performance_alerts")).scalar() == 1


def test_a_dropped_check_comes_back(migrated: Engine) -> None:
    """Checks, which Alembic does not compare, are found and made again."""
    alter_check(migrated, SEVERITY, None)
    assert boot(migrated).mended == ["constraint ck_performance_alerts_severity of performance_alerts is missing"]
    assert titles(migrated) == ["Slow"]


def test_a_loosened_check_is_put_right(migrated: Engine) -> None:
    """A check of the right name with another condition is found by its definition."""
    alter_check(migrated, SEVERITY, "severity <> ''")
    assert boot(migrated).mended == [
        "constraint ck_performance_alerts_severity of performance_alerts was changed by hand"
    ]


def test_a_check_that_rows_break_is_reported(migrated: Engine) -> None:
    """A row with a severity of somebody's own is kept, and the statements to run are named."""
    alter_check(migrated, SEVERITY, None)
    run(migrated, "UPDATE performance_alerts SET severity = 'odd'")
    result = boot(migrated)
    assert result.status == "drift"
    assert "ck_performance_alerts_severity" in result.reported[0]
    assert "run: " in result.reported[0]
    assert len(found(migrated, result)) == 1
    assert titles(migrated) == ["Slow"]


def test_what_others_hang_on_our_tables_stays(migrated: Engine) -> None:
    """An index of the application's is no drift, and survives the mending of what is."""
    run(migrated, "CREATE INDEX theirs ON performance_alerts (title)")
    assert boot(migrated).mended == []
    alter_check(migrated, "occurrence_count >= 1", None, others=["CREATE INDEX theirs ON performance_alerts (title)"])
    assert boot(migrated).status == "ok"
    run(migrated, "DROP INDEX theirs")
