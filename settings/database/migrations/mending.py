"""Mends what was dropped or altered by hand where that loses nothing; says what to run where it might."""

import re

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex

from settings.database.diagnosis import diagnose_database
from settings.database.migrations.catalogue import Thing
from settings.database.migrations.drift import Difference, table_statements
from settings.database.migrations.rebuild import hindrance, rebuild_statements
from settings.database.tables import metadata

_LENGTH = re.compile(r"character varying\((\d+)\)")


def mend(connection: Connection, drift: list[Difference]) -> tuple[list[str], list[str]]:
    """Run the statements that undo `drift`, each difference in a savepoint of its own.

    Returns:
        What was mended, and what was not, with the reason and the exact statements to run.
    """
    mended: list[str] = []
    reported: list[str] = []
    for what, statements, refusal in _plan(connection, drift):
        why = refusal or _try(connection, statements)
        if why:
            reported.append(f"{what}: {why}; run: {' '.join(f'{each};' for each in statements)}")
        else:
            mended.append(what)
    return mended, reported


def statements_of(connection: Connection, drift: list[Difference]) -> list[str]:
    """Return the statements that would undo `drift`."""
    return [each for _what, statements, _refusal in _plan(connection, drift) for each in statements]


Step = tuple[str, list[str], str]
"""What is wrong, the statements that mend it, and why they are not run, or nothing."""


def _plan(connection: Connection, drift: list[Difference]) -> list[Step]:
    if connection.dialect.name == "postgresql":
        return [_step(connection, difference) for difference in drift]
    # SQLite can change hardly anything of a table in place: it is copied.
    inner: dict[str, list[Difference]] = {
        each.wanted.table: [] for each in drift if each.wanted.kind in {"column", "constraint"}
    }
    for each in drift:
        inner.get(each.wanted.table, []).append(each)
    copies = [_copy(connection, table, found) for table, found in inner.items()]
    return [*copies, *(_step(connection, each) for each in drift if each.wanted.table not in inner)]


def _copy(connection: Connection, table: str, drift: list[Difference]) -> Step:
    return "; ".join(map(str, drift)), rebuild_statements(connection, table), hindrance(connection, table)


def _step(connection: Connection, difference: Difference) -> Step:
    thing, what = difference.wanted, str(difference)
    if difference.how == "foreign":
        return what, [f"ALTER TABLE {thing.table} RENAME TO {thing.table}_other"], "it is never touched"
    if difference.how == "extra":
        return what, [f"ALTER TABLE {thing.table} ALTER COLUMN {thing.name} DROP NOT NULL"], "it is never touched"
    if thing.kind == "table":
        return what, table_statements(connection, thing.table), ""
    if thing.kind == "index":
        return what, _index(connection, difference), ""
    if thing.kind == "constraint":
        return what, _constraint(difference), ""
    return _column(connection, difference)


def _index(connection: Connection, difference: Difference) -> list[str]:
    table, name = difference.wanted.table, difference.wanted.name
    index = next(each for each in metadata.tables[table].indexes if each.name == name)
    drop = [f"DROP INDEX {name}"] if difference.found else []
    return [*drop, str(CreateIndex(index).compile(dialect=connection.dialect)).strip()]


def _constraint(difference: Difference) -> list[str]:
    thing = difference.wanted
    alter = f"ALTER TABLE {thing.table}"
    if thing.name == "PRIMARY KEY":
        return [f"{alter} ADD {thing.definition}"]
    drop = [f"{alter} DROP CONSTRAINT {thing.name}"] if difference.found else []
    return [*drop, f"{alter} ADD CONSTRAINT {thing.name} {thing.definition}"]


def _column(connection: Connection, difference: Difference) -> Step:
    thing, found, what = difference.wanted, difference.found, str(difference)
    alter = f"ALTER TABLE {thing.table}"
    if found is None:
        column = metadata.tables[thing.table].c[thing.name]
        compiler = connection.dialect.ddl_compiler(connection.dialect, None)  # type: ignore[arg-type] # it needs no statement
        return what, [f"{alter} ADD COLUMN {compiler.get_column_specification(column)}"], ""
    change = f"{alter} ALTER COLUMN {thing.name}"
    statements, refusal = [], ""
    if thing.definition != found.definition:
        statements.append(f"{change} TYPE {thing.definition} USING {thing.name}::{thing.definition}")
        refusal = "" if _is_wider(thing.definition, found.definition) else "values might be lost"
    if thing.default != found.default:
        statements += _default(thing, change)
    if thing.flag != found.flag:
        statements.append(f"{change} {'SET' if thing.flag else 'DROP'} NOT NULL")
    return what, statements, refusal


def _default(thing: Thing, change: str) -> list[str]:
    if thing.default != "nextval":
        return [f"{change} SET DEFAULT {thing.default}" if thing.default else f"{change} DROP DEFAULT"]
    sequence = f"{thing.table}_{thing.name}_seq"
    return [
        f"CREATE SEQUENCE IF NOT EXISTS {sequence} OWNED BY {thing.table}.{thing.name}",
        f"SELECT setval('{sequence}', coalesce(max({thing.name}), 0) + 1, false) FROM {thing.table}",  # noqa: S608 - our names
        f"{change} SET DEFAULT nextval('{sequence}')",
    ]


def _is_wider(wanted: str, found: str) -> bool:
    new, old = _LENGTH.fullmatch(wanted), _LENGTH.fullmatch(found)
    if new and old:
        return int(new[1]) > int(old[1])
    return (wanted, found) in {("bigint", "integer"), ("double precision", "real"), ("jsonb", "json")}


def _try(connection: Connection, statements: list[str]) -> str:
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement)
    except DBAPIError as error:
        return diagnose_database(error).cause
    return ""
