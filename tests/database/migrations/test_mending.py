"""What was dropped or altered by hand is found at the next boot, and mended where that loses nothing."""

import logging

import pytest
from sqlalchemy import Engine, text

from settings.database.migrations import MigrationManager, MigrationResult
from settings.database.tables import performance_alerts
from settings.probe import HealthStatus

ALERT = {"alert_type": "slow", "severity": "low", "title": "Slow"}
INDEXES = sorted(str(index.name) for index in performance_alerts.indexes)


@pytest.fixture
def migrated(engine: Engine) -> Engine:
    """A database with the schema and one alert."""
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.execute(performance_alerts.insert().values(ALERT))
    return engine


def run(engine: Engine, *statements: str) -> None:
    """Alter something by hand."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def boot(engine: Engine) -> MigrationResult:
    """Migrate as the next process does, see that the rows are there, and that a sound schema is found again."""
    result = MigrationManager(engine).ensure_tables_exist()
    again = MigrationManager(engine).ensure_tables_exist()
    assert again.mended == []
    assert again.status == ("ok" if result.status == "ok" else "drift")
    return result


def copied(engine: Engine, table: str, find: str, replace: str) -> list[str]:
    """Return the statements that alter a table of SQLite by hand, by making it anew from an altered definition."""
    with engine.connect() as connection:
        found = "SELECT sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL ORDER BY type DESC"
        create, *indexes = connection.execute(text(found), {"table": table}).scalars().all()
    assert find in create
    altered = create.replace(find, replace)
    return [f"ALTER TABLE {table} RENAME TO was", altered, f"INSERT INTO {table} SELECT * FROM was",
            "DROP TABLE was", *indexes]  # fmt: skip


def titles(engine: Engine) -> list[str]:
    """Return the titles of all alerts."""
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT title FROM performance_alerts")).scalars())


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
    run(migrated, *_without(migrated, "alert_metadata"))
    assert boot(migrated).status == "ok"
    assert titles(migrated) == ["Slow"]


def test_a_column_that_must_be_filled_is_reported(migrated: Engine) -> None:
    """Rows cannot be given a title that is gone: the statement is named, and the rows stay."""
    run(migrated, *_without(migrated, "title"))
    result = boot(migrated)
    assert (result.status, result.mended) == ("drift", [])
    assert "column title of performance_alerts is missing" in result.reported[0]
    with migrated.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM performance_alerts")).scalar() == 1


def test_a_dropped_check_comes_back(migrated: Engine) -> None:
    """Checks, which Alembic does not compare, are found and made again."""
    _alter_check(migrated, "severity IN ('low', 'medium', 'high', 'critical')", None)
    assert boot(migrated).mended == ["constraint ck_performance_alerts_severity of performance_alerts is missing"]
    assert titles(migrated) == ["Slow"]


def test_a_loosened_check_is_put_right(migrated: Engine) -> None:
    """A check of the right name with another condition is found by its definition."""
    _alter_check(migrated, "severity IN ('low', 'medium', 'high', 'critical')", "severity <> ''")
    assert boot(migrated).mended == [
        "constraint ck_performance_alerts_severity of performance_alerts was changed by hand"
    ]


def test_a_check_that_rows_break_is_reported(migrated: Engine) -> None:
    """A row with a severity of somebody's own is kept, and the statements to run are named."""
    _alter_check(migrated, "severity IN ('low', 'medium', 'high', 'critical')", None)
    run(migrated, "UPDATE performance_alerts SET severity = 'odd'")
    result = boot(migrated)
    assert result.status == "drift"
    assert "ck_performance_alerts_severity" in result.reported[0]
    assert "run: " in result.reported[0]
    assert titles(migrated) == ["Slow"]


def test_what_others_hang_on_our_tables_stays(migrated: Engine) -> None:
    """An index of the application's is no drift, and survives the mending of what is."""
    run(migrated, "CREATE INDEX theirs ON performance_alerts (title)")
    assert boot(migrated).mended == []
    _alter_check(migrated, "occurrence_count >= 1", None, others=["CREATE INDEX theirs ON performance_alerts (title)"])
    assert boot(migrated).status == "ok"
    run(migrated, "DROP INDEX theirs")


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


def test_a_view_of_our_name_is_never_touched(engine: Engine) -> None:
    """A view under the name of a table of ours is somebody else's."""
    run(engine, "CREATE VIEW worker_runs AS SELECT 1 AS job")
    result = boot(engine)
    assert (result.status, result.mended) == ("drift", [])


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


def _alter_check(engine: Engine, rule: str, other: str | None, others: list[str] | None = None) -> None:
    name = {"s": "severity", "o": "occurrence_count"}[rule[0]]
    name = f"ck_performance_alerts_{name}"
    if engine.dialect.name == "sqlite":
        for each in others or []:
            run(engine, f"DROP INDEX {each.split()[2]}")
        whole = f"CONSTRAINT {name} CHECK ({rule})"
        run(engine, *copied(engine, "performance_alerts", whole, f"CONSTRAINT {name} CHECK ({other or '1 = 1'})"))
        if other is None:
            run(engine, *copied(engine, "performance_alerts", f"CONSTRAINT {name} CHECK (1 = 1), ", ""))
        run(engine, *(others or []))
        return
    run(engine, f"ALTER TABLE performance_alerts DROP CONSTRAINT {name}")
    if other is not None:
        run(engine, f"ALTER TABLE performance_alerts ADD CONSTRAINT {name} CHECK ({other})")


def _without(engine: Engine, column: str) -> list[str]:
    if engine.dialect.name == "postgresql":
        return [f"ALTER TABLE performance_alerts DROP COLUMN {column}"]
    rest = ", ".join(each.name for each in performance_alerts.columns if each.name != column)
    return [f"CREATE TABLE was AS SELECT {rest} FROM performance_alerts", "DROP TABLE performance_alerts",
            "CREATE TABLE performance_alerts AS SELECT * FROM was", "DROP TABLE was"]  # fmt: skip


class TestPostgreSQLOnly:
    """What PostgreSQL lets a hand alter and SQLite does not."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
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
            "ALTER COLUMN occurrence_count TYPE BIGINT",
            "ALTER COLUMN id TYPE INTEGER",
            "ALTER COLUMN id DROP DEFAULT",
            "DROP CONSTRAINT performance_alerts_pkey",
            "DROP COLUMN occurrence_count",
            "DROP COLUMN status CASCADE",
        ],
    )
    def test_an_altered_column_is_mended_or_reported(self, migrated: Engine, statement: str) -> None:
        """Defaults, NOT NULL, keys and wider types are put right; a narrower type is reported."""
        run(migrated, "UPDATE performance_alerts SET description = ''", f"ALTER TABLE performance_alerts {statement}")
        result = boot(migrated)
        narrower = "BIGINT" in statement
        assert result.status == ("drift" if narrower else "ok")
        assert bool(result.mended) is not narrower
        assert titles(migrated) == ["Slow"]
        with migrated.begin() as connection:
            connection.execute(performance_alerts.insert().values({**ALERT, "alert_type": "other"}))

    def test_null_titles_are_reported(self, migrated: Engine) -> None:
        """NOT NULL cannot come back while a row breaks it."""
        run(migrated, "ALTER TABLE performance_alerts ALTER COLUMN title DROP NOT NULL",
            "UPDATE performance_alerts SET title = NULL")  # fmt: skip
        assert "ALTER COLUMN title SET NOT NULL;" in boot(migrated).reported[0]

    def test_an_index_that_is_not_valid_is_made_again(self, migrated: Engine) -> None:
        """An index left behind by a broken CREATE INDEX CONCURRENTLY serves nobody."""
        name = "ix_performance_alerts_type_status"
        run(migrated, f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
        assert boot(migrated).mended == [f"index {name} of performance_alerts was changed by hand"]

    def test_a_schema_of_the_search_path_is_used(self, migrated: Engine) -> None:
        """Tables moved to another schema that the role looks at first are found there."""
        run(migrated, "CREATE SCHEMA own", "ALTER TABLE performance_alerts SET SCHEMA own",
            f'ALTER DATABASE "{migrated.url.database}" SET search_path = own, public')  # fmt: skip
        migrated.dispose()
        assert boot(migrated).mended == []


class TestSQLiteOnly:
    """What makes SQLite copy a table, and what forbids it."""

    @pytest.fixture
    def url(self, tmp_path: object) -> str:
        """SQLite alone."""
        return f"sqlite:///{tmp_path}/app.db"

    def test_a_table_that_others_refer_to_is_not_copied(self, migrated: Engine) -> None:
        """To drop the old table would carry on to the rows that refer to it."""
        reference = "REFERENCES performance_alerts (id) ON DELETE CASCADE"
        run(migrated, f"CREATE TABLE notes (alert INTEGER {reference})",
            "INSERT INTO notes VALUES (1)", "ALTER TABLE performance_alerts DROP COLUMN description")  # fmt: skip
        result = boot(migrated)
        assert "foreign keys refer to it from notes" in result.reported[0]
        with migrated.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 1

    def test_triggers_survive_a_copy(self, migrated: Engine) -> None:
        """What somebody hung on the table is hung on the new one."""
        run(migrated, "CREATE TABLE told (id INTEGER)",
            "CREATE TRIGGER tell AFTER INSERT ON performance_alerts BEGIN INSERT INTO told VALUES (new.id); END",
            "ALTER TABLE performance_alerts DROP COLUMN description")  # fmt: skip
        assert boot(migrated).status == "ok"
        with migrated.begin() as connection:
            connection.execute(performance_alerts.insert().values({**ALERT, "alert_type": "other"}))
            assert connection.execute(text("SELECT count(*) FROM told")).scalar() == 1
