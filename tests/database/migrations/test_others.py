"""What somebody else made stays: tables and views of our names, columns and indexes on our tables."""

import logging

import pytest
from sqlalchemy import Engine, text

from settings.database.migrations import MigrationManager
from settings.probe import HealthStatus
from tests.database.migrations.by_hand import INDEXES, boot, copied, run


@pytest.mark.parametrize(
    "columns",
    ["id INTEGER, name VARCHAR(20)", "other INTEGER", "id INTEGER, alert_type VARCHAR(50), colour VARCHAR(9)"],
)
def test_a_table_of_somebody_else_is_never_touched(
    engine: Engine, columns: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A table of our name with other columns keeps its columns and rows; the rest of the schema is made."""
    run(engine, f"CREATE TABLE performance_alerts ({columns})",
        f"INSERT INTO performance_alerts ({columns.split()[0]}) VALUES (7)")  # fmt: skip
    with caplog.at_level(logging.WARNING):
        result = boot(engine)
    assert (result.status, result.applied) == ("drift", ["0001"])
    assert "table performance_alerts was made by somebody else, with other columns" in result.reported[0]
    assert "run: ALTER TABLE performance_alerts RENAME TO performance_alerts_other;" in caplog.text
    assert MigrationManager(engine).reading().status is HealthStatus.FALLBACK
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM performance_alerts"))
        assert len(list(rows.keys())) == columns.count(",") + 1
        assert rows.all()[0][0] == 7


@pytest.mark.parametrize("kind", ["VIEW", "TABLE"])
def test_the_statement_for_what_has_our_name_makes_room(engine: Engine, kind: str) -> None:
    """A view or table of our name is never touched; after the statement named the next boot makes ours beside it."""
    run(engine, f"CREATE {kind} worker_runs AS SELECT 1 AS task")
    result = boot(engine)
    assert (result.status, result.mended) == ("drift", [])
    run(engine, *result.reported[0].partition("; run: ")[2].split(";"))
    assert boot(engine).mended == ["table worker_runs is missing"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT task FROM worker_runs_other")).scalar() == 1


def test_a_table_that_was_renamed_is_made_anew_beside_it(migrated: Engine) -> None:
    """Its indexes keep their names, which are not taken from it: they are reported, and the service is ready."""
    run(migrated, "ALTER TABLE performance_alerts RENAME TO old_alerts")
    manager = MigrationManager(migrated)
    result = manager.ensure_tables_exist()
    assert (result.status, result.mended) == ("drift", ["table performance_alerts is missing"])
    assert len(result.reported) == len(INDEXES)
    assert "an index of old_alerts has its name" in result.reported[0]
    assert manager.reading().status is HealthStatus.FALLBACK
    for each in result.reported:
        run(migrated, *each.partition("; run: ")[2].split(";"))
    assert boot(migrated).status == "ok"
    with migrated.connect() as connection:
        assert connection.execute(text("SELECT title FROM old_alerts")).scalars().all() == ["Slow"]


def test_a_renamed_column_of_ours_is_reported_and_can_be_moved_aside(migrated: Engine) -> None:
    """It might be somebody else's table; the statements named free all of its names."""
    run(migrated, "ALTER TABLE performance_alerts RENAME COLUMN description TO words")
    result = boot(migrated)
    assert (result.status, result.mended) == ("drift", [])
    run(migrated, *result.reported[0].partition("; run: ")[2].split(";"))
    assert boot(migrated).status == "ok"
    with migrated.connect() as connection:
        assert connection.execute(text("SELECT title FROM performance_alerts_other")).scalars().all() == ["Slow"]


def test_the_name_of_an_index_of_anothers_does_not_fail_the_first_run(engine: Engine) -> None:
    """An index of ours that cannot have its name is reported; all else is made."""
    run(engine, "CREATE TABLE orders (id INTEGER)", f"CREATE INDEX {INDEXES[0]} ON orders (id)")
    result = boot(engine)
    assert (result.status, result.applied) == ("drift", ["0001"])
    assert f"index {INDEXES[0]} of performance_alerts is missing: an index of orders has its name" in str(result)


def test_a_column_of_others_that_must_be_filled_is_reported(migrated: Engine) -> None:
    """Our rows could not be written beside it: it is reported, and stays."""
    if migrated.dialect.name == "sqlite":
        job = "job VARCHAR(200) NOT NULL"
        statements = copied(migrated, "worker_runs", job, f"{job}, theirs INTEGER NOT NULL")
        run(migrated, *(each for each in statements if not each.startswith("INSERT")))
    else:
        run(migrated, "ALTER TABLE worker_runs ADD COLUMN theirs INTEGER NOT NULL")
    result = boot(migrated)
    assert result.status == "drift"
    assert "theirs" in result.reported[0]


def test_a_column_of_others_that_may_be_empty_is_no_drift(migrated: Engine) -> None:
    """What does not stand in our way is nobody's concern."""
    run(migrated, "ALTER TABLE worker_runs ADD COLUMN theirs INTEGER")
    assert (boot(migrated).status, boot(migrated).reported) == ("ok", [])
