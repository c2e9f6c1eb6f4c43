"""Roles with fewer rights, and databases that only read: what is right is served, what is not is said."""

import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, make_url

from settings.database.migrations import MigrationManager
from settings.database.migrations.lock import migration_transaction
from settings.database.tables import VERSION_TABLE
from settings.probe import HealthStatus
from tests.database.migrations.by_hand import INDEXES, boot, run
from tests.servers import PostgresServer


@pytest.fixture
def url(postgres_url: str) -> str:
    """PostgreSQL alone: SQLite has no roles."""
    return postgres_url


@pytest.fixture
def role(postgres: PostgresServer) -> str:
    """A role that may do nothing yet."""
    name = f"role_{secrets.token_hex(4)}"
    postgres.query(f"CREATE ROLE {name} LOGIN")
    return name


@pytest.fixture
def theirs(postgres: PostgresServer, url: str, role: str, open_database: Callable[..., Any]) -> Engine:
    """An engine of that role."""
    made: Engine = open_database(url=postgres.url(make_url(url).database or "", user=role)).engine
    return made


def _grant_rows(engine: Engine, role: str) -> None:
    run(engine, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")


def test_a_role_that_may_only_change_rows_serves(migrated: Engine, theirs: Engine, role: str) -> None:
    """Where somebody else migrates, a schema that was restored, and so not yet compared, is found right."""
    _grant_rows(migrated, role)
    run(migrated, f"ALTER TABLE {VERSION_TABLE} DROP COLUMN fingerprint")
    manager = MigrationManager(theirs)
    assert manager.ensure_tables_exist().status == "ok"
    assert manager.reading().status is HealthStatus.HEALTHY


def test_a_role_that_may_only_change_rows_names_what_it_may_not_mend(
    migrated: Engine, theirs: Engine, role: str
) -> None:
    """It serves with a warning and the statement for whoever may."""
    _grant_rows(migrated, role)
    run(migrated, f"DROP INDEX {INDEXES[0]}")
    manager = MigrationManager(theirs)
    assert f"run: CREATE INDEX {INDEXES[0]}" in manager.ensure_tables_exist().reported[0]
    assert manager.reading().status is HealthStatus.FALLBACK


def test_a_role_that_may_make_nothing_fails_with_cause_and_fix(theirs: Engine) -> None:
    """On an empty database there is nothing to serve from."""
    result = MigrationManager(theirs).ensure_tables_exist()
    assert result.diagnosis is not None
    assert (result.status, "this role may not do that" in result.diagnosis.cause) == ("failed", True)


def test_a_role_that_may_not_see_who_migrates_waits(engine: Engine, theirs: Engine) -> None:
    """PostgreSQL hides from it since when and from where; that ends neither the waiting nor the migration after it."""
    with migration_transaction(engine, 5) as connection:
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        result = MigrationManager(theirs, wait=0.3).ensure_tables_exist()
    assert result.diagnosis is not None
    assert result.diagnosis.code == "migration-locked"
    assert result.diagnosis.cause.startswith(f"backend {backend} (tests) has held")


def test_a_role_that_may_not_read_who_is_there_waits(engine: Engine, theirs: Engine) -> None:
    """A hardened database hides the list of backends altogether; whoever waits then says just that."""
    run(engine, "REVOKE SELECT ON pg_stat_activity FROM PUBLIC")
    with migration_transaction(engine, 5):
        result = MigrationManager(theirs, wait=0.3).ensure_tables_exist()
    assert result.diagnosis is not None
    assert result.diagnosis.code == "migration-locked"
    assert result.diagnosis.cause.startswith("a process that this role may not see has held")


def test_a_role_without_temporary_tables_migrates(engine: Engine, theirs: Engine, role: str) -> None:
    """What cannot be compared is reported with the right that it takes; after the grant it is right."""
    database = engine.url.database
    run(engine, f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC", f"GRANT CREATE ON SCHEMA public TO {role}")
    result = MigrationManager(theirs).ensure_tables_exist()
    assert (result.status, result.applied) == ("drift", ["0001"])
    grant = f"GRANT TEMPORARY ON DATABASE {database} TO {role};"
    assert f"run: {grant}" in result.reported[0]
    run(engine, grant)
    assert boot(theirs).status == "ok"


def test_a_database_that_only_reads_is_served(migrated: Engine) -> None:
    """A schema that cannot be compared there is no reason not to serve."""
    run(migrated, f"UPDATE {VERSION_TABLE} SET fingerprint = NULL")
    run(migrated, f"ALTER DATABASE {migrated.url.database} SET default_transaction_read_only = on")
    migrated.dispose()
    manager = MigrationManager(migrated)
    assert "read-only" in str(manager.ensure_tables_exist())
    assert manager.reading().status is HealthStatus.FALLBACK


@pytest.mark.parametrize("path", ["own, public", "public, pg_temp", '"We ird", public'])
def test_any_search_path_finds_one_version_table(engine: Engine, path: str) -> None:
    """A schema that comes before that of our tables gets no second version table; odd names are no drift."""
    run(engine, "CREATE SCHEMA own")
    MigrationManager(engine).ensure_tables_exist()
    run(engine, 'CREATE SCHEMA "We ird"', f"ALTER DATABASE {engine.url.database} SET search_path = {path}")
    engine.dispose()
    run(engine, f"DROP INDEX {INDEXES[0]}")
    assert boot(engine).mended == [f"index {INDEXES[0]} of performance_alerts is missing"]
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT schemaname FROM pg_tables WHERE tablename = '{VERSION_TABLE}'")
        assert found.scalars().all() == ["public"]


def test_a_schema_with_an_odd_name_is_no_drift(engine: Engine) -> None:
    """Definitions are compared without the schema's name, however it is written."""
    run(engine, 'CREATE SCHEMA "We ird"', f'ALTER DATABASE {engine.url.database} SET search_path = "We ird"')
    engine.dispose()
    result = boot(engine)
    assert (result.status, result.mended) == ("ok", [])


def test_a_restored_database_is_served_by_a_role_that_may_only_change_rows(
    migrated: Engine, postgres: PostgresServer, role: str, open_database: Callable[..., Any]
) -> None:
    """The server reads in what it once wrote out, and its words for our tables must be the same ones again."""
    server = ["-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres", "-d"]
    dump = postgres.run("pg_dump", *server, str(migrated.url.database), "--inserts")
    script = re.sub(r"(?m)^\\.*$", "", dump)  # without psql's own commands
    restored = make_url(postgres.new_database())
    postgres.run("psql", *server, str(restored.database), "-v", "ON_ERROR_STOP=1", "-q", "-c", script)
    _grant_rows(open_database(url=postgres.url(restored.database or "")).engine, role)
    manager = MigrationManager(open_database(url=postgres.url(restored.database or "", user=role)).engine)
    assert manager.pending() == []
    assert str(manager.ensure_tables_exist()) == "at 0001, nothing to do"
    assert manager.reading().status is HealthStatus.HEALTHY
