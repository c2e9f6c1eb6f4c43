"""What the database has, asked in one or two queries, and what that lacks of what this code needs."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, inspect

from settings.database.migrations.catalogue import OUR_TABLES, Row, fingerprint, read_stored
from settings.database.migrations.revisions import APPLICATION_VERSION_TABLE, HEAD, KNOWN, line_of
from settings.database.tables import VERSION_TABLE


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the application has besides our tables."""

    metadata: MetaData | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class State:
    """How the schema is.

    Attributes:
        version: Our revision, or None for a database without our tables.
        unchanged: Whether our tables are as they were when they were last found right.
        missing: Our and the application's tables that are not there.
        unapplied: Revisions of the application's folder that the database lacks.
        revisions: Revisions of the application's folder that the database is at.
        strangers: Those of them that the folder does not know.
    """

    version: str | None
    unchanged: bool
    missing: tuple[str, ...]
    unapplied: tuple[str, ...] = ()
    revisions: frozenset[str] = frozenset()
    strangers: tuple[str, ...] = ()

    @property
    def newer(self) -> bool:
        """Whether a newer build than this one has migrated our tables."""
        return self.version is not None and self.version not in KNOWN

    @property
    def complete(self) -> bool:
        """Whether there is nothing to do."""
        return self.version == HEAD and self.unchanged and not self.lacking and not self.strangers

    @property
    def lacking(self) -> list[str]:
        """Revisions and tables that are not there, by name."""
        return [*([HEAD] if self.version is None else []), *self.unapplied, *self.missing]


def look(connection: Connection, wanted: Wanted, right: str | None = None) -> State:
    """Return how the schema is; changes nothing. No statement of it fails where a table is missing.

    `right` is the fingerprint that this process has found right, where it may not note it in the database.
    """
    rows = read_stored(connection)
    version, found = _version(connection, rows)
    there = {row[0] for row in rows}
    missing = [name for name in OUR_TABLES if name not in there]
    if wanted.metadata is not None:
        missing += [table.fullname for table in missing_tables(connection, wanted.metadata)]
    state = State(version, fingerprint(rows) in {found, right}, tuple(missing))
    if wanted.folder is None:
        return state
    at = frozenset(str(row[0]) for row in _select(connection, "version_num", APPLICATION_VERSION_TABLE, there))
    unapplied, strangers = _folder(wanted.folder, at)
    return replace(state, unapplied=unapplied, revisions=at, strangers=strangers)


def _folder(folder: Path, at: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what of a folder the database lacks, and what it has that the folder does not know."""
    line = line_of(folder)
    if line is not None:
        strangers = at - line.known
        return () if strangers else tuple(sorted(line.heads - at)), tuple(sorted(strangers))
    from settings.database.migrations.alembic_runner import Folder

    scripts = Folder(folder, APPLICATION_VERSION_TABLE)
    return tuple(scripts.unapplied(at)), tuple(scripts.unknown(at))


def missing_tables(connection: Connection, metadata: MetaData) -> list[Table]:
    """Return the tables that are not there, by name; one query on PostgreSQL."""
    wanted = [metadata.tables[name] for name in sorted(metadata.tables)]  # in the order of need, a circle would warn
    if connection.dialect.name != "postgresql":
        found = inspect(connection)
        return [table for table in wanted if not found.has_table(table.name, table.schema)]
    # The driver's quoting doubles percent signs, for statements; these are values.
    quote = connection.dialect.identifier_preparer.format_table
    names = {quote(table).replace("%%", "%"): table for table in wanted}
    statement = "SELECT n FROM unnest(%(names)s::text[]) n WHERE to_regclass(n) IS NULL"
    absent = set(connection.exec_driver_sql(statement, {"names": list(names)}).scalars())
    return [table for name, table in names.items() if name in absent]


def _version(connection: Connection, rows: list[Row]) -> tuple[str | None, str | None]:
    """Return our revision and the stored fingerprint; None for what is not there."""
    with_fingerprint = any(row[0] == VERSION_TABLE and "fingerprint" in str(row) for row in rows)
    names = "version_num, fingerprint" if with_fingerprint else "version_num, NULL"
    found = _select(connection, names, VERSION_TABLE, {row[0] for row in rows})
    if len(found) > 1:
        return ", ".join(sorted(str(row[0]) for row in found)), None
    return (str(found[0][0]), found[0][1]) if found else (None, None)


def _select(connection: Connection, columns: str, table: str, there: Collection[str]) -> list[Row]:
    if table not in there:
        return []
    return [tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {table}")]  # noqa: S608 - constants
