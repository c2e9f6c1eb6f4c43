"""How the tables differ from their definition: names, types, defaults, constraints, checks too, and indexes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, create_engine
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from settings.database.migrations.catalogue import OUR_TABLES, Thing, read_catalogue
from settings.database.tables import metadata

How = Literal["missing", "changed", "foreign", "extra"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it is defined.

    Attributes:
        how: `missing`; `changed`; `foreign`: a table that somebody else made; `extra`: a column that rows of ours
            cannot fill.
        wanted: What there should be; for `extra`, what there is.
        found: What there is, or None.
    """

    how: How
    wanted: Thing
    found: Thing | None = None

    def __str__(self) -> str:
        thing = self.wanted
        what = f"table {thing.table}" if thing.kind == "table" else f"{thing.kind} {thing.name} of {thing.table}"
        return {
            "missing": f"{what} is missing",
            "changed": f"{what} was changed by hand",
            "foreign": f"{what} was made by somebody else, with other columns",
            "extra": f"{what} is not ours, and must be filled",
        }[self.how]


def find_drift(connection: Connection) -> list[Difference]:
    """Return how this database differs from the definition of our tables; changes nothing.

    PostgreSQL writes definitions in its own words, which differ from one major version to the next: so temporary
    tables are made, read in the same words and taken back. The role needs the right to make them, as it has by default.
    """
    found, wanted = read_catalogue(connection), _reference(connection)
    return [difference for table in OUR_TABLES for difference in _compare(_of(found, table), _of(wanted, table))]


def _reference(connection: Connection) -> list[Thing]:
    if connection.dialect.name == "postgresql":
        savepoint = connection.begin_nested()
        try:
            # Last on the path, as some set it for safety, a temporary table would not be the one that is found.
            connection.exec_driver_sql("SET LOCAL search_path = pg_temp")
            for statement in table_statements(connection, *OUR_TABLES):
                connection.exec_driver_sql(statement.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))
            return read_catalogue(connection)
        finally:
            savepoint.rollback()
    memory = create_engine("sqlite://")
    with memory.connect() as other:
        metadata.create_all(other)
        things = read_catalogue(other)
    memory.dispose()
    return things


def table_statements(connection: Connection, *names: str, without: Collection[str] = ()) -> list[str]:
    """Return the statements that make our tables of these names, with their indexes but for those `without`."""
    makers: list[ExecutableDDLElement] = []
    for table in (metadata.tables[name] for name in names):
        indexes = sorted((each for each in table.indexes if each.name not in without), key=lambda each: str(each.name))
        makers += [CreateTable(table), *map(CreateIndex, indexes)]
    return [str(each.compile(dialect=connection.dialect)).strip() for each in makers]


def _of(things: list[Thing], table: str) -> dict[tuple[str, str], Thing]:
    return {(thing.kind, thing.name): thing for thing in things if thing.table == table}


Things = dict[tuple[str, str], Thing]


def _compare(found: Things, wanted: Things) -> list[Difference]:
    table = wanted["table", ""]
    if ("table", "") not in found:
        return [Difference("missing", table)]
    if _is_foreign(found, wanted):
        return [Difference("foreign", table, found["table", ""])]
    extra = [found[each] for each in sorted(found.keys() - wanted.keys()) if each[0] == "column"]
    return [
        *(Difference("changed" if key in found else "missing", thing, found.get(key))
          for key, thing in wanted.items() if found.get(key) != thing),
        *(Difference("extra", thing, thing) for thing in extra if thing.flag and not thing.default),
    ]  # fmt: skip


def _is_foreign(found: Things, wanted: Things) -> bool:
    """Say whether a table cannot have been ours: no table at all, another key, or columns instead of ours."""
    ours = {name for kind, name in wanted if kind == "column"}
    there = {name for kind, name in found if kind == "column"}
    keys = {column.name for column in metadata.tables[wanted["table", ""].table].primary_key}
    renamed = bool(ours - there) and bool(there - ours)
    return (
        found["table", ""] != wanted["table", ""] or renamed or not keys <= there or 2 * len(ours & there) < len(ours)
    )
