"""What PostgreSQL lets a hand alter and SQLite does not."""

import pytest
from sqlalchemy import Engine

from settings.database.tables import performance_alerts
from tests.database.migrations.by_hand import ALERT, boot, found, run, titles


@pytest.fixture
def url(postgres_url: str) -> str:
    """PostgreSQL alone."""
    return postgres_url


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER COLUMN endpoint DROP DEFAULT",
        "ALTER COLUMN status SET DEFAULT 'resolved'",
        "ALTER COLUMN title DROP NOT NULL",
        "ALTER COLUMN description SET NOT NULL",
        "ALTER COLUMN title TYPE VARCHAR(20)",
        "ALTER COLUMN title TYPE TEXT",
        'ALTER COLUMN endpoint TYPE VARCHAR(255) COLLATE "C"',
        "ALTER COLUMN occurrence_count TYPE BIGINT",
        "ALTER COLUMN alert_metadata TYPE JSON",
        "ALTER COLUMN id TYPE INTEGER",
        "ALTER COLUMN id DROP DEFAULT",
        "DROP CONSTRAINT performance_alerts_pkey",
        "DROP CONSTRAINT performance_alerts_pkey, ADD CONSTRAINT other PRIMARY KEY (id, title)",
        "DROP COLUMN description",
    ],
)
def test_what_loses_nothing_is_put_right(migrated: Engine, statement: str) -> None:
    """Defaults, NOT NULL, keys, and types whose values all come back the same from the right one."""
    run(migrated, "UPDATE performance_alerts SET description = '', metric_value = 1.25, alert_metadata = '{\"a\": 1}'",
        f"ALTER TABLE performance_alerts {statement}")  # fmt: skip
    result = boot(migrated)
    assert (result.status, bool(result.mended)) == ("ok", True)
    assert titles(migrated) == ["Slow"]
    with migrated.begin() as connection:
        connection.execute(performance_alerts.insert().values({**ALERT, "alert_type": "other"}))


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["ALTER COLUMN title TYPE TEXT", "title = repeat('x', 300)"], "values would be lost"),
        (["ALTER COLUMN metric_value TYPE NUMERIC", "metric_value = 0.12345678901234567890"], "values would be lost"),
        (["ALTER COLUMN first_occurrence TYPE TIMESTAMP", "title = ''"], "it is not known in which time zone"),
        (["ALTER COLUMN occurrence_count TYPE BIGINT", "occurrence_count = 5000000000"], "out of range"),
    ],
)
def test_a_type_that_would_lose_values_is_reported(migrated: Engine, statements: list[str], reason: str) -> None:
    """What the values would become is a person's decision; the statement that would do it is named."""
    run(migrated, f"ALTER TABLE performance_alerts {statements[0]}", f"UPDATE performance_alerts SET {statements[1]}")
    result = boot(migrated)
    assert (result.status, result.mended) == ("drift", [])
    assert reason in result.reported[0]
    assert "run: ALTER TABLE performance_alerts ALTER COLUMN" in result.reported[0]


def test_a_constraint_in_the_place_of_an_index_is_put_right(migrated: Engine) -> None:
    """An index that belongs to a constraint goes with it; a rule for all alerts is not one for open ones."""
    name = "uq_performance_alerts_open"
    rule = f"CONSTRAINT {name} UNIQUE (alert_type, service_name, endpoint)"
    run(migrated, f"DROP INDEX {name}", f"ALTER TABLE performance_alerts ADD {rule}")
    assert boot(migrated).mended == [f"index {name} of performance_alerts was changed by hand"]


def test_what_was_mended_stays_while_something_else_is_reported(migrated: Engine) -> None:
    """To make it again at each boot would lock the table each time."""
    run(migrated, "ALTER TABLE worker_runs RENAME job TO work",
        "ALTER TABLE performance_alerts DROP CONSTRAINT ck_performance_alerts_status")  # fmt: skip
    result = boot(migrated)
    assert (result.status, len(result.mended)) == ("drift", 1)


def test_null_titles_are_reported(migrated: Engine) -> None:
    """NOT NULL cannot come back while a row breaks it."""
    run(migrated, "ALTER TABLE performance_alerts ALTER COLUMN title DROP NOT NULL",
        "UPDATE performance_alerts SET title = NULL")  # fmt: skip
    result = boot(migrated)
    assert "ALTER COLUMN title SET NOT NULL;" in result.reported[0]
    assert len(found(migrated, result)) == 1


@pytest.mark.parametrize("column", ["pid", "body"])
def test_a_lost_number_or_object_is_reported(migrated: Engine, column: str) -> None:
    """The statements named give the rows 0 or an empty object."""
    run(migrated, "INSERT INTO process_snapshots VALUES ('a', 'p', 'h', 1, 0, '[]')",
        f"ALTER TABLE process_snapshots DROP COLUMN {column}")  # fmt: skip
    result = boot(migrated)
    assert "its values are gone" in result.reported[0]
    run(migrated, *result.reported[0].partition("; run: ")[2].split(";"))
    assert boot(migrated).status == "ok"


def test_repeated_keys_are_reported(migrated: Engine) -> None:
    """A primary key cannot come back while two rows have the same."""
    run(migrated, "ALTER TABLE worker_runs DROP CONSTRAINT worker_runs_pkey",
        "INSERT INTO worker_runs (app_name, job) VALUES ('a', 'j'), ('a', 'j')")  # fmt: skip
    result = boot(migrated)
    assert "ADD PRIMARY KEY (app_name, job);" in result.reported[0]
    assert found(migrated, result) == [("a", "j", 2)]


def test_an_index_that_is_not_valid_is_made_again(migrated: Engine) -> None:
    """An index left behind by a broken CREATE INDEX CONCURRENTLY serves nobody."""
    name = "ix_performance_alerts_type_status"
    run(migrated, f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
    assert boot(migrated).mended == [f"index {name} of performance_alerts was changed by hand"]


def test_a_schema_of_the_search_path_is_used(migrated: Engine) -> None:
    """Tables moved to another schema that the role looks at first are found there."""
    run(migrated, "CREATE SCHEMA own", "ALTER TABLE performance_alerts SET SCHEMA own",
        f'ALTER DATABASE "{migrated.url.database}" SET search_path = own, public')  # fmt: skip
    migrated.dispose()
    assert boot(migrated).mended == []
