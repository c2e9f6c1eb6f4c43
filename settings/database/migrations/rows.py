"""The queries that show which rows forbid a constraint: a person has to alter them before it can come back."""

from settings.database.migrations.drift import Difference
from settings.database.tables import OPEN, metadata


def breaking_rows(difference: Difference) -> str:
    """Return the query for the rows that break what is missing or changed, or an empty text where none can."""
    thing = difference.wanted
    if thing.kind == "constraint" and thing.definition.startswith("CHECK"):
        return f"SELECT * FROM {thing.table} WHERE NOT {thing.definition.removeprefix('CHECK').strip()};"  # noqa: S608 - our names
    if thing.kind == "constraint":
        return _repeated(thing.table, [column.name for column in metadata.tables[thing.table].primary_key])
    if thing.kind == "column" and thing.flag and difference.found is not None:
        return f"SELECT * FROM {thing.table} WHERE {thing.name} IS NULL;"  # noqa: S608 - our names
    for index in metadata.tables[thing.table].indexes:
        if thing.kind == "index" and index.name == thing.name and index.unique:
            return _repeated(thing.table, [column.name for column in index.columns], f" WHERE {OPEN}")
    return ""


def _repeated(table: str, names: list[str], where: str = "") -> str:
    columns = ", ".join(names)
    return f"SELECT {columns}, count(*) FROM {table}{where} GROUP BY {columns} HAVING count(*) > 1;"  # noqa: S608 - our names
