"""What `--sql` prints runs as it stands, with `psql` and in SQLite, and does what a boot would do."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint, Column, Engine, Enum, ForeignKey, Integer, MetaData, String, Table, inspect

from settings.database.migrations import MigrationManager
from settings.database.tables import VERSION_TABLE
from tests.database.migrations.by_hand import INDEXES, SEVERITY, boot, copied, run, titles

Script = Callable[[str], None]
STEP = """from alembic import op
revision = "{}"
down_revision = {}
def upgrade():
    op.execute("CREATE TABLE {} (x INTEGER)")
"""


@pytest.fixture
def by_hand(request: pytest.FixtureRequest, engine: Engine) -> Script:
    """What runs a script on the database as a person does, and fails where a statement of it fails."""
    if engine.dialect.name == "postgresql":
        server, database = request.getfixturevalue("postgres"), str(engine.url.database)
        options = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1"]
        return lambda script: server.run("psql", *options, "-c", script)

    def in_sqlite(script: str) -> None:
        with closing(sqlite3.connect(str(engine.url.database))) as connection:
            connection.executescript(script)

    return in_sqlite


def test_it_makes_the_whole_schema_in_one_transaction(engine: Engine, by_hand: Script) -> None:
    """On an empty database, after which a boot has nothing to apply or to mend."""
    script = MigrationManager(engine).sql()
    assert script.replace("PRAGMA foreign_keys = OFF;\n", "").startswith("BEGIN;")
    assert script.endswith("COMMIT;")
    by_hand(script)
    result = boot(engine)
    assert (result.status, result.applied, result.mended) == ("ok", [], [])
    assert MigrationManager(engine).sql() == ""


@pytest.mark.parametrize(
    "lost", [f"DROP TABLE {VERSION_TABLE}", f"DELETE FROM {VERSION_TABLE}", "DROP TABLE worker_runs"]
)
def test_it_runs_where_some_of_it_is_there(migrated: Engine, by_hand: Script, lost: str) -> None:
    """Tables without a revision, and a revision without a table."""
    run(migrated, lost)
    by_hand(MigrationManager(migrated).sql())
    result = boot(migrated)
    assert (result.status, result.applied, result.mended) == ("ok", [], [])
    assert titles(migrated) == ["Slow"]


def test_it_mends(migrated: Engine, by_hand: Script) -> None:
    """What was dropped by hand comes back, without a word to the next boot."""
    run(migrated, *(f"DROP INDEX {name}" for name in INDEXES))
    by_hand(MigrationManager(migrated).sql())
    assert boot(migrated).mended == []


def test_it_runs_nothing_that_a_boot_would_only_report(migrated: Engine, by_hand: Script) -> None:
    """Somebody else's table and columns stay as they are; the statements are there as comments."""
    run(migrated, "DROP TABLE worker_runs", "CREATE TABLE worker_runs (task INTEGER)")
    if migrated.dialect.name == "sqlite":
        run(migrated, *copied(migrated, "performance_alerts", SEVERITY, "1 = 1"))
        run(migrated, "ALTER TABLE performance_alerts ADD COLUMN theirs INTEGER")
    else:
        run(migrated, "ALTER TABLE performance_alerts ALTER COLUMN title TYPE TEXT",
            "UPDATE performance_alerts SET title = repeat('x', 300)")  # fmt: skip
    before = titles(migrated)
    script = MigrationManager(migrated).sql()
    assert "-- ALTER TABLE worker_runs RENAME TO worker_runs_other;" in script.splitlines()
    assert script.count("-- not run, ") == 2
    by_hand(script)
    assert "worker_runs_other" not in inspect(migrated).get_table_names()
    assert titles(migrated) == before
    assert len(boot(migrated).reported) == 2


def test_it_makes_types_and_late_keys_of_the_application(engine: Engine, by_hand: Script) -> None:
    """An enumeration, two tables that refer to each other, and a percent sign are made as `create_all` makes them."""
    theirs = MetaData()
    Table("chicken", theirs, Column("id", Integer, primary_key=True), Column("kind", Enum("a", "b", name="kinds")),
          Column("egg", ForeignKey("egg.id")))  # fmt: skip
    Table("egg", theirs, Column("id", Integer, primary_key=True), Column("chicken", ForeignKey("chicken.id")),
          Column("name", String(9)), CheckConstraint("name LIKE '5%'", name="ck_egg"))  # fmt: skip
    Table("100% fresh", theirs, Column("id", Integer))
    manager = MigrationManager(engine, metadata=theirs)
    by_hand(manager.sql())
    assert manager.ensure_tables_exist().created == []
    run(engine, "INSERT INTO egg (id, name) VALUES (1, '5x')")
    assert manager.sql() == ""


def test_a_newer_schema_gets_no_statement(migrated: Engine) -> None:
    """What a boot would leave alone is left alone by hand too."""
    run(migrated, f"UPDATE {VERSION_TABLE} SET version_num = '9999'", "DROP TABLE worker_runs")
    assert MigrationManager(migrated).sql() == ""


def test_it_goes_on_from_the_revision_of_a_folder(engine: Engine, by_hand: Script, tmp_path: Path) -> None:
    """The application's folder is upgraded by the same script, from wherever it is."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "a1.py").write_text(STEP.format("a1", None, "one"))
    manager = MigrationManager(engine, folder=tmp_path)
    by_hand(manager.sql())
    (tmp_path / "versions" / "a2.py").write_text(STEP.format("a2", "'a1'", "two"))
    script = manager.sql()
    assert "CREATE TABLE one" not in script
    by_hand(script)
    assert manager.ensure_tables_exist().applied == []
    assert {"one", "two"} < set(inspect(engine).get_table_names())
