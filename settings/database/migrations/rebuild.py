"""How SQLite changes a table: a new one is made, the rows are copied, and it takes the old one's place."""

from collections.abc import Collection

from sqlalchemy import Connection

from settings.database.migrations.drift import table_statements
from settings.database.migrations.repairs import filling, needs_filling
from settings.database.migrations.statements import statements
from settings.database.tables import metadata


def rebuild_statements(connection: Connection, table: str, without: Collection[str] = ()) -> list[str]:
    """Return the statements that make `table` anew with its rows, its indexes, and what else was hung on it.

    Foreign keys that refer to it are off, or the rows that hold them would go with the old table. A view or a trigger
    that speaks of it would forbid the renaming, but for `legacy_alter_table` (sqlite.org/lang_altertable.html).
    """
    create, *indexes = table_statements(connection, table, without=without)
    new, extra = f"{table}_mended", _extra(connection, table)
    values = {**_values(connection, table), **{name: name for name in extra}}
    return [
        "PRAGMA foreign_keys = OFF",  # for whoever runs them by hand: it says nothing within a transaction
        "PRAGMA legacy_alter_table = ON",
        create.replace(f"CREATE TABLE {table}", f"CREATE TABLE {new}", 1),
        *(f"ALTER TABLE {new} ADD COLUMN {specification}" for specification in extra.values()),
        f"INSERT INTO {new} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {table}",  # noqa: S608 - names of columns
        f"DROP TABLE {table}",
        f"ALTER TABLE {new} RENAME TO {table}",
        "PRAGMA legacy_alter_table = OFF",
        *indexes,
        *_others(connection, table),
    ]


def hindrance(connection: Connection, table: str) -> str:
    """Return why `table` cannot be made anew without loss, or an empty text."""
    there, ours = _columns(connection, table), metadata.tables[table].columns
    others = sorted(there - {column.name for column in ours})
    if others:
        return f"columns that are not ours would lose their own constraints: {', '.join(others)}"
    rules = _rules(connection, table)
    if rules:
        return f"rules of its own would be lost: {', '.join(rules)}"
    gone = [column.name for column in ours if column.name not in there and needs_filling(connection, column)]
    return f"the values of {', '.join(gone)} are gone, and its rows need some" if gone else ""


def _rules(connection: Connection, table: str) -> list[str]:
    """Return what rules the rows of a table besides ours: nothing tells how they were written."""
    unique = "SELECT name FROM pragma_index_list(?) WHERE origin = 'u' ORDER BY name"
    columns = "SELECT name FROM pragma_index_info(?) ORDER BY seqno"
    parents = 'SELECT DISTINCT "table" FROM pragma_foreign_key_list(?) ORDER BY 1'
    indexes = connection.exec_driver_sql(unique, (table,)).scalars().all()
    keys = [connection.exec_driver_sql(columns, (index,)).scalars().all() for index in indexes]
    ours = {str(each.name) for each in metadata.tables[table].constraints}
    return [
        *(f"UNIQUE ({', '.join(map(str, key))})" for key in keys),
        *(f"FOREIGN KEY to {parent}" for parent in connection.exec_driver_sql(parents, (table,)).scalars()),
        *(f"CHECK {name}".strip() for name in _checks(connection, table) if name not in ours),
    ]


def _checks(connection: Connection, table: str) -> list[str]:
    """Return the names of a table's checks; of one that has none, an empty text."""
    statement = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = ?"
    words = next(statements(str(connection.exec_driver_sql(statement, (table,)).scalar())))
    return [
        words[at - 1].strip('"`') if words[at - 2] == "constraint" else ""
        for at, word in enumerate(words)
        if word == "check"
    ]


def _values(connection: Connection, table: str) -> dict[str, str]:
    """Return our columns, and from where each is filled."""
    there = _columns(connection, table)
    return {
        column.name: column.name if column.name in there else filling(column)
        for column in metadata.tables[table].columns
        if column.name in there or needs_filling(connection, column)
    }


def _columns(connection: Connection, table: str) -> set[str]:
    return set(connection.exec_driver_sql("SELECT name FROM pragma_table_xinfo(?)", (table,)).scalars())


def _extra(connection: Connection, table: str) -> dict[str, str]:
    """Return the columns of somebody else's, quoted, with what SQLite tells of them; computed ones hold no values."""
    statement = 'SELECT name, type, "notnull", dflt_value FROM pragma_table_xinfo(?) WHERE hidden = 0'
    ours = metadata.tables[table].columns
    quote = connection.dialect.identifier_preparer.quote_identifier
    found: dict[str, str] = {}
    for name, kind, filled, default in connection.exec_driver_sql(statement, (table,)):
        if name not in ours:
            must = f" NOT NULL DEFAULT {default or repr('')}" if filled else f" DEFAULT {default}" if default else ""
            found[quote(name)] = f"{quote(name)} {kind}{must}"
    return found


def _others(connection: Connection, table: str) -> list[str]:
    """Return the statements of indexes and triggers that somebody else hung on the table."""
    ours = {index.name for index in metadata.tables[table].indexes}
    statement = (
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL"
    )
    return [sql for name, sql in connection.exec_driver_sql(statement, (table,)) if name not in ours]
