"""What the tests of mending share: altering a schema by hand, and looking at what a boot makes of it."""

from sqlalchemy import Engine, text

from settings.database.migrations import MigrationManager, MigrationResult
from settings.database.tables import performance_alerts

ALERT = {"alert_type": "slow", "severity": "low", "title": "Slow"}
SEVERITY = "severity = 'low' OR severity = 'medium' OR severity = 'high' OR severity = 'critical'"
INDEXES = sorted(str(index.name) for index in performance_alerts.indexes)


def run(engine: Engine, *statements: str) -> None:
    """Alter something by hand."""
    with engine.begin() as connection:
        for statement in filter(str.strip, statements):
            connection.execute(text(statement))


def boot(engine: Engine) -> MigrationResult:
    """Migrate as the next process does, see that the rows are there, and that a sound schema is found again."""
    result = MigrationManager(engine).ensure_tables_exist()
    again = MigrationManager(engine).ensure_tables_exist()
    assert again.mended == []
    assert again.status == ("ok" if result.status == "ok" else "drift")
    return result


def found(engine: Engine, result: MigrationResult) -> list[tuple[object, ...]]:
    """Return the rows that the first report says are to be altered first."""
    query = result.reported[0].partition("alter the rows of ")[2].partition(";")[0]
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


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


def alter_check(engine: Engine, rule: str, other: str | None, others: list[str] | None = None) -> None:
    """Replace a check of `performance_alerts` by another, or by none."""
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


def without(engine: Engine, column: str) -> list[str]:
    """Return the statements that take a column away."""
    if engine.dialect.name == "postgresql":
        return [f"ALTER TABLE performance_alerts DROP COLUMN {column}"]
    rest = ", ".join(each.name for each in performance_alerts.columns if each.name != column)
    return [f"CREATE TABLE was AS SELECT {rest} FROM performance_alerts", "DROP TABLE performance_alerts",
            "CREATE TABLE performance_alerts AS SELECT * FROM was", "DROP TABLE was"]  # fmt: skip
