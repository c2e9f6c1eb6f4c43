"""Our version table: Alembic's, with a column for the fingerprint."""

from sqlalchemy import Connection, inspect

from settings.database.tables import VERSION_TABLE

_ADD = f"ALTER TABLE {VERSION_TABLE} ADD COLUMN fingerprint VARCHAR(64)"


def prepare_version_table(connection: Connection) -> None:
    """Make the version table, or complete it, wherever on the search path it is."""
    if not inspect(connection).has_table(VERSION_TABLE):
        connection.exec_driver_sql(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, fingerprint VARCHAR(64),"
            f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    for statement in completing_statements(connection):
        connection.exec_driver_sql(statement)


def completing_statements(connection: Connection) -> list[str]:
    """Return what makes a version table as Alembic makes it, there or not yet, one of ours."""
    found = inspect(connection)
    columns = found.get_columns(VERSION_TABLE) if found.has_table(VERSION_TABLE) else []
    return [] if any(column["name"] == "fingerprint" for column in columns) else [_ADD]
