"""What makes SQLite copy a table, what a copy keeps, and what forbids it."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine, text

from settings.database.tables import performance_alerts
from tests.database.migrations.by_hand import ALERT, SEVERITY, boot, copied, run


@pytest.fixture
def url(tmp_path: object) -> str:
    """SQLite alone."""
    return f"sqlite:///{tmp_path}/app.db"


def test_rows_that_refer_to_a_copied_table_stay(migrated: Engine) -> None:
    """To drop the old table would carry on to the rows that refer to it, were foreign keys on."""
    reference = "REFERENCES performance_alerts (id) ON DELETE CASCADE"
    run(migrated, f"CREATE TABLE notes (alert INTEGER {reference})",
        "INSERT INTO notes VALUES (1)", "ALTER TABLE performance_alerts DROP COLUMN description")  # fmt: skip
    assert boot(migrated).status == "ok"
    with migrated.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 1
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA foreign_key_list(notes)")).one()[2] == "performance_alerts"


@pytest.mark.parametrize(
    "others",
    [
        "CREATE VIEW titles AS SELECT title FROM performance_alerts",
        "CREATE TRIGGER theirs AFTER INSERT ON worker_runs BEGIN UPDATE performance_alerts SET title = 'x'; END",
    ],
)
def test_views_and_triggers_that_speak_of_a_table_do_not_forbid_its_copy(migrated: Engine, others: str) -> None:
    """SQLite looks through all of them when a table is renamed, and misses the one that was dropped for its copy."""
    run(migrated, others, "ALTER TABLE performance_alerts DROP COLUMN description")
    assert boot(migrated).mended == ["column description of performance_alerts is missing"]


def test_the_statements_for_a_table_with_columns_of_others_keep_their_values(migrated: Engine) -> None:
    """What their columns were bound by is not known, so a person decides; what he is told to run loses no value."""
    run(migrated, *copied(migrated, "performance_alerts", SEVERITY, "1 = 1"),
        'ALTER TABLE performance_alerts ADD COLUMN "their own" INTEGER DEFAULT 5',
        "ALTER TABLE performance_alerts ADD COLUMN x VARCHAR(9) NOT NULL DEFAULT 'x'",
        "ALTER TABLE performance_alerts ADD COLUMN y")  # fmt: skip
    result = boot(migrated)
    assert "columns that are not ours would lose their own constraints: their own, x, y" in result.reported[0]
    with closing(sqlite3.connect(str(migrated.url.database))) as by_hand:
        by_hand.executescript(result.reported[0].partition("; run: ")[2])
    assert boot(migrated).reported == []
    with migrated.connect() as connection:
        assert connection.execute(text('SELECT title, "their own", x, y FROM performance_alerts')).all() == [
            ("Slow", 5, "x", None)
        ]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("UNIQUE (title, severity)", "UNIQUE (title, severity)"),
        ("FOREIGN KEY (service_name) REFERENCES services (name)", "FOREIGN KEY to services"),
        ("CONSTRAINT theirs CHECK (title <> 'y')", "CHECK theirs"),
        ("CHECK (title <> 'y')", "CHECK"),
    ],
)
def test_a_rule_that_somebody_gave_the_table_forbids_its_copy(migrated: Engine, rule: str, named: str) -> None:
    """The copy would be without it: it is named, and the table stays as it is."""
    check = f"CHECK ({SEVERITY})"
    run(migrated, "CREATE TABLE services (name TEXT PRIMARY KEY)", "INSERT INTO services VALUES ('')",
        *copied(migrated, "performance_alerts", check, f"CHECK (1 = 1), {rule}"))  # fmt: skip
    result = boot(migrated)
    assert (result.status, result.mended) == ("drift", [])
    assert f": rules of its own would be lost: {named}; run: " in result.reported[0]


def test_triggers_survive_a_copy(migrated: Engine) -> None:
    """What somebody hung on the table is hung on the new one."""
    run(migrated, "CREATE TABLE told (id INTEGER)",
        "CREATE TRIGGER tell AFTER INSERT ON performance_alerts BEGIN INSERT INTO told VALUES (new.id); END",
        "ALTER TABLE performance_alerts DROP COLUMN description")  # fmt: skip
    assert boot(migrated).status == "ok"
    with migrated.begin() as connection:
        connection.execute(performance_alerts.insert().values({**ALERT, "alert_type": "other"}))
        assert connection.execute(text("SELECT count(*) FROM told")).scalar() == 1
