"""How SQLite changes a table: a new one is made, the rows are copied, and it takes the old one's place."""

from sqlalchemy import Connection

from settings.database.migrations.drift import table_statements
from settings.database.tables import metadata


def rebuild_statements(connection: Connection, table: str) -> list[str]:
    """Return the statements that make `table` anew with its rows, its indexes, and what else was hung on it."""
    create, *indexes = table_statements(connection, table)
    new = f"{table}_mended"
    names = ", ".join(name for name in _ours(table) if name in _columns(connection, table))
    return [
        create.replace(f"CREATE TABLE {table}", f"CREATE TABLE {new}", 1),
        f"INSERT INTO {new} ({names}) SELECT {names} FROM {table}",  # noqa: S608 - names of our own tables
        f"DROP TABLE {table}",
        f"ALTER TABLE {new} RENAME TO {table}",
        *indexes,
        *_others(connection, table),
    ]


def hindrance(connection: Connection, table: str) -> str:
    """Return why `table` cannot be made anew without loss, or an empty text."""
    extra = _columns(connection, table) - set(_ours(table))
    if extra:
        return f"columns that are not ours would be lost: {', '.join(sorted(extra))}"
    referring = 'SELECT m.name FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE f."table" = ?'
    names = connection.exec_driver_sql(referring, (table,)).scalars().all()
    # Dropping a table deletes its rows first, and a foreign key would carry that on.
    return f"foreign keys refer to it from {', '.join(sorted(set(names)))}" if names else ""


def _ours(table: str) -> list[str]:
    return [column.name for column in metadata.tables[table].columns]


def _columns(connection: Connection, table: str) -> set[str]:
    return set(connection.exec_driver_sql("SELECT name FROM pragma_table_info(?)", (table,)).scalars())


def _others(connection: Connection, table: str) -> list[str]:
    """Return the statements of indexes and triggers that somebody else hung on the table."""
    ours = {index.name for index in metadata.tables[table].indexes}
    statement = (
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL"
    )
    return [sql for name, sql in connection.exec_driver_sql(statement, (table,)) if name not in ours]
