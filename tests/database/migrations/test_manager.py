"""The schema is there when the application serves, whoever boots first and whatever was there before."""

from sqlalchemy import Engine, inspect, text

from settings.database.migrations import MigrationManager
from settings.database.tables import VERSION_TABLE, metadata, performance_alerts


def test_two_runs_in_a_row_make_one_schema(engine: Engine) -> None:
    """The first run applies everything, the second finds nothing to do."""
    first, second = MigrationManager(engine).ensure_tables_exist(), MigrationManager(engine).ensure_tables_exist()
    assert (first.status, first.applied) == ("ok", ["0001"])
    assert (second.status, second.applied, second.created, second.mended) == ("ok", [], [], [])
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all() == ["0001"]


def test_tables_come_with_all_their_indexes_and_constraints(engine: Engine) -> None:
    """Both dialects have what the definition says, by name."""
    MigrationManager(engine).ensure_tables_exist()
    found = inspect(engine)
    assert set(found.get_table_names()) == {*metadata.tables, VERSION_TABLE}
    assert {each["name"] for each in found.get_indexes("performance_alerts")} == {
        index.name for index in performance_alerts.indexes
    }
    checks = {each["name"] for each in found.get_check_constraints("performance_alerts")}
    assert {f"ck_performance_alerts_{name}" for name in ("severity", "status", "occurrence_count")} == checks
