"""The schema is there when the application serves, whoever boots first and whatever was there before."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, inspect, text

from settings.database.migrations import MigrationManager
from settings.database.migrations.catalogue import OUR_TABLES
from settings.database.tables import VERSION_TABLE, metadata, performance_alerts
from settings.probe import HealthStatus


def run(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    """Run one statement in a transaction and return its rows."""
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def tables(engine: Engine) -> set[str]:
    """Return the names of the tables."""
    return set(inspect(engine).get_table_names())


def test_two_runs_in_a_row_make_one_schema(engine: Engine) -> None:
    """The first run applies everything, the second finds nothing to do."""
    first, second = MigrationManager(engine).ensure_tables_exist(), MigrationManager(engine).ensure_tables_exist()
    assert (first.status, first.applied, first.mended) == ("ok", ["0001"], [])
    assert (second.status, second.applied, second.created, second.mended) == ("ok", [], [], [])
    assert second.skipped == list(OUR_TABLES)
    assert first.milliseconds > 0
    assert str(first) == "applied 0001"
    assert str(second) == "at 0001, nothing to do"
    assert run(engine, f"SELECT version_num FROM {VERSION_TABLE}") == [("0001",)]


def test_tables_come_with_all_their_indexes_and_constraints(engine: Engine) -> None:
    """Both dialects have what the definition says, by name."""
    MigrationManager(engine).ensure_tables_exist()
    found = inspect(engine)
    assert tables(engine) == {*metadata.tables, VERSION_TABLE}
    assert {each["name"] for each in found.get_indexes("performance_alerts")} == {
        index.name for index in performance_alerts.indexes
    }
    checks = {each["name"] for each in found.get_check_constraints("performance_alerts")}
    assert {f"ck_performance_alerts_{name}" for name in ("severity", "status", "occurrence_count")} <= checks


def test_an_empty_database_is_pending_and_stays_empty(engine: Engine) -> None:
    """What only asks names everything that is not there and makes no table."""
    manager = MigrationManager(engine)
    assert manager.pending() == ["0001", *OUR_TABLES]
    assert manager.check_missing_tables() == list(OUR_TABLES)
    assert manager.current() is None
    assert manager.reading().code == "migration-pending"
    assert "CREATE TABLE performance_alerts" in manager.sql()
    assert tables(engine) == set()


def test_nothing_is_pending_after_a_run(engine: Engine) -> None:
    """The reading is healthy, and there is no statement left to print."""
    manager = MigrationManager(engine)
    manager.create_performance_alerts_table()
    assert (manager.pending(), manager.check_missing_tables(), manager.current()) == ([], [], "0001")
    assert manager.reading().status is HealthStatus.HEALTHY


def test_it_works_inside_an_application_context(engine: Engine) -> None:
    """Migrations need no application context and mind none."""
    with Flask("app").app_context():
        assert MigrationManager(lambda: engine).ensure_tables_exist().applied == ["0001"]


def test_a_newer_schema_is_left_alone(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A revision that this code does not know: a warning, no statement, and the reading only warns."""
    MigrationManager(engine).ensure_tables_exist()
    run(engine, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    run(engine, "DROP TABLE worker_runs")
    manager = MigrationManager(engine)
    with caplog.at_level(logging.WARNING):
        result = manager.ensure_tables_exist()
    assert result.status == "ahead"
    assert "worker_runs" not in tables(engine)
    assert "newer than this code: it is at 9999" in caplog.text
    assert (manager.reading().status, manager.reading().code) == (HealthStatus.FALLBACK, "migration-ahead")
    assert MigrationManager(engine).reading().code == "migration-ahead"
    assert manager.pending() == []


def test_an_empty_version_table_is_no_harm(engine: Engine) -> None:
    """Tables without a revision are taken for what they are, rows included."""
    MigrationManager(engine).ensure_tables_exist()
    run(engine, "INSERT INTO worker_runs (app_name, job) VALUES ('app', 'job')")
    run(engine, f"DELETE FROM {VERSION_TABLE}")
    result = MigrationManager(engine).ensure_tables_exist()
    assert (result.status, result.applied, result.mended) == ("ok", ["0001"], [])
    assert run(engine, "SELECT job FROM worker_runs") == [("job",)]


def test_a_version_table_without_fingerprint_gets_one(engine: Engine) -> None:
    """A version table as Alembic alone makes it is completed, so that the next boot finds nothing to do."""
    MigrationManager(engine).ensure_tables_exist()
    run(engine, f"DROP TABLE {VERSION_TABLE}")
    run(engine, f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    run(engine, f"INSERT INTO {VERSION_TABLE} VALUES ('0001')")
    assert MigrationManager(engine).ensure_tables_exist().status == "ok"
    assert MigrationManager(engine).reading().status is HealthStatus.HEALTHY


def test_the_tables_of_the_application_are_created(engine: Engine) -> None:
    """Missing tables of the application's metadata come with ours, once; those that are there stay as they are."""
    theirs = MetaData()
    for name in ("first", "second"):
        Table(name, theirs, Column("id", Integer, primary_key=True), Column("title", String(20), index=True))
    run(engine, "CREATE TABLE first (id INTEGER)")
    manager = MigrationManager(engine, metadata=theirs)
    assert manager.pending() == ["0001", *OUR_TABLES, "second"]
    assert "CREATE INDEX ix_second_title" in manager.sql()
    assert manager.ensure_tables_exist().created == ["second"]
    assert manager.ensure_tables_exist().created == []
    assert [each["name"] for each in inspect(engine).get_columns("first")] == ["id"]
    run(engine, "DROP TABLE second")
    assert manager.reading().cause == "pending: second"
    assert manager.ensure_tables_exist().created == ["second"]


def test_a_failing_table_rolls_everything_back(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """When the application's table cannot be made, ours are not made either, and the reason is logged and read."""
    theirs = MetaData()
    Table("broken", theirs, Column("id", String, server_default=text("nosuch(")))
    manager = MigrationManager(engine, metadata=theirs)
    with caplog.at_level(logging.ERROR):
        result = manager.ensure_tables_exist()
    assert result.status == "failed"
    assert tables(engine) == set()
    assert "the migration failed" in caplog.text
    assert manager.reading().code == "migration-failed"
    assert manager.reading().status is HealthStatus.UNHEALTHY
    MigrationManager(engine).ensure_tables_exist()


def test_a_failure_is_forgotten_once_the_schema_is_right(engine: Engine) -> None:
    """After somebody migrated by hand, the process that had failed is ready without a restart."""
    theirs = MetaData()
    manager = MigrationManager(engine, metadata=theirs)
    Table("broken", theirs, Column("id", String, server_default=text("nosuch(")))
    assert manager.ensure_tables_exist().status == "failed"
    run(engine, "CREATE TABLE broken (id VARCHAR)")
    MigrationManager(engine).ensure_tables_exist()
    assert manager.reading().status is HealthStatus.HEALTHY


def test_the_dialect_comes_from_the_engine(tmp_path: Path, open_database: Callable[..., Any]) -> None:
    """A SQLite file below a folder called postgresql-data has integer ids that count by themselves."""
    folder = tmp_path / "postgresql-data"
    engine = open_database(url=f"sqlite:///{folder}/postgresql.db").engine
    MigrationManager(engine).ensure_tables_exist()
    kinds = {each["name"]: str(each["type"]) for each in inspect(engine).get_columns("performance_alerts")}
    assert kinds["id"] == "INTEGER"


def test_a_database_in_memory_is_migrated_too(open_database: Callable[..., Any]) -> None:
    """The one connection of a memory database carries the lock and the work."""
    engine = open_database(url="sqlite:///:memory:").engine
    assert MigrationManager(engine).ensure_tables_exist().applied == ["0001"]
    assert MigrationManager(engine).reading().status is HealthStatus.HEALTHY


def test_a_boot_with_nothing_to_do_does_not_import_alembic(engine: Engine) -> None:
    """Alembic costs a quarter of a boot: only what changes something pays for it."""
    MigrationManager(engine).ensure_tables_exist()
    code = (
        "import sys; from sqlalchemy import create_engine; from settings.database.migrations import MigrationManager;"
        f"assert MigrationManager(create_engine({engine.url.render_as_string(hide_password=False)!r}))"
        ".ensure_tables_exist().status == 'ok'; sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_alembic_leaves_logging_alone(engine: Engine) -> None:
    """Migrating sets no level, adds no handler and disables no logger."""
    root, other = logging.getLogger(), logging.getLogger("somebody")
    before = (root.level, list(root.handlers), other.disabled)
    MigrationManager(engine).ensure_tables_exist()
    assert (root.level, list(root.handlers), other.disabled) == before


def test_a_database_that_does_not_answer_is_a_reading(tmp_path: Path) -> None:
    """A reading never raises; it says what is wrong."""
    reading = MigrationManager(create_engine(f"sqlite:///{tmp_path}/no/such/folder/app.db")).reading()
    assert (reading.status, reading.code) == (HealthStatus.UNHEALTHY, "migration-failed")
