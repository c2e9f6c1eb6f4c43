"""The statements that put one thing right: an index, a constraint, a column; and what they would lose."""

import re

from sqlalchemy import JSON, Column, Connection, DefaultClause, String
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex

from settings.database.diagnosis import diagnose_database
from settings.database.migrations.catalogue import Thing
from settings.database.migrations.drift import Difference
from settings.database.tables import metadata

ZONED = "timestamp with time zone"
_REWRITTEN = frozenset({("jsonb", "json"), ("jsonb", "text")})
"""Types whose values are only written differently, so that their texts cannot be compared."""
_TAKEN_ON_POSTGRESQL = """
SELECT c.relname::text, x.indrelid::regclass::text FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid
WHERE c.relname = ANY(%(names)s) AND pg_table_is_visible(c.oid) AND x.indrelid IS DISTINCT FROM to_regclass(%(table)s)
"""
_TAKEN_ON_SQLITE = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND lower(tbl_name) <> ?"


def names_taken(connection: Connection, table: str) -> dict[str, str]:
    """Return which names of the table's indexes are those of an index of another table, and that table's name."""
    names = [str(index.name) for index in metadata.tables[table].indexes]
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(_TAKEN_ON_POSTGRESQL, {"names": names, "table": table})
    else:
        found = connection.exec_driver_sql(_TAKEN_ON_SQLITE, (table,))
    return {name: owner for name, owner in (tuple(row) for row in found) if name in names}


def freeing(connection: Connection, index: str) -> str:
    """Return the statement after which no index has this name; SQLite cannot rename one."""
    return (
        f"ALTER INDEX {index} RENAME TO {index}_other"
        if connection.dialect.name == "postgresql"
        else f"DROP INDEX {index}"
    )


def index_statements(connection: Connection, difference: Difference) -> list[str]:
    """Return the statements that make an index as it is defined."""
    table, name = difference.wanted.table, difference.wanted.name
    index = next(each for each in metadata.tables[table].indexes if each.name == name)
    drop = [_dropping(connection, table, name)] if difference.found else []
    return [*drop, str(CreateIndex(index).compile(dialect=connection.dialect)).strip()]


def _dropping(connection: Connection, table: str, index: str) -> str:
    if connection.dialect.name == "postgresql":
        of_index = "SELECT 1 FROM pg_constraint WHERE conindid = to_regclass(%(name)s) AND contype IN ('u', 'x')"
        if connection.exec_driver_sql(of_index, {"name": index}).first():
            return f"ALTER TABLE {table} DROP CONSTRAINT {index}"
    return f"DROP INDEX {index}"


def constraint_statements(connection: Connection, difference: Difference) -> list[str]:
    """Return the statements that make a constraint of PostgreSQL as it is defined."""
    thing = difference.wanted
    alter = f"ALTER TABLE {thing.table}"
    if thing.name != "PRIMARY KEY":
        drop = [f"{alter} DROP CONSTRAINT {thing.name}"] if difference.found else []
        return [*drop, f"{alter} ADD CONSTRAINT {thing.name} {thing.definition}"]
    keys = "SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'p' AND conrelid = to_regclass(%(table)s)"
    found = connection.exec_driver_sql(keys, {"table": thing.table}).scalars()
    return [*(f"{alter} DROP CONSTRAINT {name}" for name in found), f"{alter} ADD {thing.definition}"]


def column_repair(connection: Connection, difference: Difference) -> tuple[list[str], str]:
    """Return the statements that put a column of PostgreSQL right, and what they might lose, or nothing."""
    thing, found = difference.wanted, difference.found
    if found is None:
        return _addition(connection, metadata.tables[thing.table].c[thing.name])
    change = f"ALTER TABLE {thing.table} ALTER COLUMN {thing.name}"
    statements, refusal = [], ""
    if thing.definition != found.definition:
        statements += [f"{change} DROP DEFAULT"] if found.default != thing.default else []
        statements.append(f"{change} TYPE {thing.definition} USING {_cast(thing, found)}")
        refusal = _loss(connection, thing, found)
    if thing.default != found.default:
        statements += _default(thing, change)
    if thing.flag != found.flag:
        statements.append(f"{change} {'SET' if thing.flag else 'DROP'} NOT NULL")
    return statements, refusal


def _addition(connection: Connection, column: Column[object]) -> tuple[list[str], str]:
    compiler = connection.dialect.ddl_compiler(connection.dialect, None)  # type: ignore[arg-type] # it needs no statement
    add = f"ALTER TABLE {column.table.name} ADD COLUMN {compiler.get_column_specification(column)}"
    if not needs_filling(connection, column):
        return [add], ""
    reason = "its values are gone, and its rows need some"
    if column.server_default is not None:
        return [add], reason
    drop = f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} DROP DEFAULT"
    return [f"{add} DEFAULT {filling(column)}", drop], reason


def needs_filling(connection: Connection, column: Column[object]) -> bool:
    """Say whether the column, which is missing, must have a value in rows that are there.

    Its default is none of theirs: a resolved alert would be active again, and a moment that passed would be now.
    """
    if column.nullable:
        return False
    return connection.exec_driver_sql(f"SELECT 1 FROM {column.table.name} LIMIT 1").first() is not None  # noqa: S608 - our name


def filling(column: Column[object]) -> str:
    """Return a value that the constraints take, as SQL: the default where there is one."""
    if isinstance(column.server_default, DefaultClause):
        default = column.server_default.arg
        return f"'{default}'" if isinstance(default, str) else str(default)
    if isinstance(column.type, String):
        return "'low'" if column.name == "severity" else "''"
    return "'{}'" if isinstance(column.type, JSON) else "0"


def _cast(thing: Thing, found: Thing) -> str:
    if thing.definition == ZONED and found.definition == "timestamp without time zone":
        return f"{thing.name} AT TIME ZONE 'UTC'"
    return f"{thing.name}::{thing.definition}"


def _loss(connection: Connection, thing: Thing, found: Thing) -> str:
    """Return what a change of type would lose: nothing when each value comes back the same from the new type."""
    kind = found.definition.partition(" COLLATE ")[0]
    if thing.definition == ZONED:
        return "it is not known in which time zone its times are"
    if (thing.definition, kind) in _REWRITTEN:
        return ""
    there, back = f"{thing.name}::text", f"({thing.name}::{thing.definition})::{kind}::text"
    statement = f"SELECT 1 FROM {thing.table} WHERE {back} IS DISTINCT FROM {there} LIMIT 1"  # noqa: S608 - our names
    try:
        with connection.begin_nested():
            return "values would be lost" if connection.exec_driver_sql(statement).first() else ""
    except DBAPIError as error:
        return diagnose_database(error).cause


def _default(thing: Thing, change: str) -> list[str]:
    if thing.default != "nextval":
        return [f"{change} SET DEFAULT {thing.default}" if thing.default else f"{change} DROP DEFAULT"]
    sequence = f"{thing.table}_{thing.name}_seq"
    return [
        f"CREATE SEQUENCE IF NOT EXISTS {sequence} OWNED BY {thing.table}.{thing.name}",
        f"SELECT setval('{sequence}', coalesce(max({thing.name}), 0) + 1, false) FROM {thing.table}",  # noqa: S608 - our names
        f"{change} SET DEFAULT nextval('{sequence}')",
    ]


def moving_aside(connection: Connection, table: str) -> list[str]:
    """Return the statements that give a table or view another name than ours, and its indexes too."""
    inside = {str(index.name) for index in metadata.tables[table].indexes}
    if connection.dialect.name == "postgresql":
        indexes = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = to_regclass(%(table)s) ORDER BY 1"
        found = connection.exec_driver_sql(indexes, {"table": table}).scalars()
        freed = [freeing(connection, name) for name in found if name in inside]
        return [f"ALTER TABLE {table} RENAME TO {table}_other", *freed]
    kinds = "SELECT type, name, sql FROM sqlite_master WHERE lower(tbl_name) = ? ORDER BY type DESC, name"
    rows = [tuple(row) for row in connection.exec_driver_sql(kinds, (table,))]
    for kind, name, sql in rows:
        if kind == "view":
            other = re.sub(rf"^(CREATE\s+VIEW\s+)\W?{name}\W?", rf"\g<1>{table}_other ", sql, flags=re.IGNORECASE)
            return [f"DROP VIEW {name}", other]
    names = [name for kind, name, _sql in rows if kind == "index" and name in inside]
    return [f"ALTER TABLE {table} RENAME TO {table}_other", *(freeing(connection, name) for name in names)]
