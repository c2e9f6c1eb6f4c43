"""What a run would do, as a script for `psql` or `sqlite3`."""

from typing import Any

from sqlalchemy import Connection, MetaData, Table, create_mock_engine

from settings.database.migrations.alembic_runner import OURS, Folder
from settings.database.migrations.catalogue import OUR_TABLES
from settings.database.migrations.drift import find_drift
from settings.database.migrations.mending import plan
from settings.database.migrations.revisions import APPLICATION_VERSION_TABLE, HEAD
from settings.database.migrations.state import State, Wanted, look, missing_tables
from settings.database.migrations.statements import changes
from settings.database.migrations.version_table import completing_statements
from settings.database.tables import VERSION_TABLE


def pending_sql(connection: Connection, wanted: Wanted) -> str:
    """Return the statements that a run would execute now, in one transaction; changes nothing.

    What a run would only report is there as a comment.
    """
    state = look(connection, wanted)
    if state.newer:
        return ""
    lines = [each for each in (*_ours(connection, state), *_theirs(connection, wanted, state)) if each]
    if not lines:
        return ""
    before = ["PRAGMA foreign_keys = OFF;"] if connection.dialect.name == "sqlite" else []
    return "\n".join([*before, "BEGIN;", *lines, "COMMIT;"])


def _ours(connection: Connection, state: State) -> list[str]:
    lines: list[str] = []
    there = [name for name in OUR_TABLES if name not in state.missing]
    if state.version != HEAD:
        lines.append(Folder(OURS, VERSION_TABLE, there=there).sql(connection, ()))
    lines += [f"{statement};" for statement in completing_statements(connection)]
    drift = find_drift(connection) if there and not state.unchanged else []
    if state.version != HEAD:  # the revision makes those that are missing
        drift = [each for each in drift if each.wanted.table in there]
    return [*lines, *(line for step in plan(connection, drift) for line in step.script())]


def _theirs(connection: Connection, wanted: Wanted, state: State) -> list[str]:
    upgrade = ""
    if wanted.folder is not None and not state.strangers:
        folder = Folder(wanted.folder, APPLICATION_VERSION_TABLE, metadata=wanted.metadata)
        upgrade = folder.sql(connection, sorted(state.revisions))
    creation = [] if wanted.metadata is None else _creation(connection, wanted.metadata, _Foreseen(connection, upgrade))
    return [upgrade, *(f"{statement};" for statement in creation)]


class _Foreseen:
    """What there will be once a script has run, which a run could ask the database for."""

    def __init__(self, connection: Connection, script: str) -> None:
        self._connection = connection
        self._changed = {(kind, self._plain(name)): there for (kind, name), there in changes(script).items()}

    def lacks(self, table: Table, *, missing: bool) -> bool:
        """Say whether a table, which is `missing` now, will be."""
        name = tuple(filter(None, (table.schema, table.name)))
        return not self._changed.get(("table", self._plain(name)), not missing)

    def has_type(self, name: tuple[str, ...]) -> bool:
        """Say whether PostgreSQL will have a type."""
        quoted = ".".join(f'"{part}"' for part in name)
        statement = "SELECT to_regtype(%(name)s) IS NOT NULL"
        there = bool(self._connection.exec_driver_sql(statement, {"name": quoted}).scalar())
        return self._changed.get(("type", self._plain(name)), there)

    def _plain(self, name: tuple[str, ...]) -> tuple[str, ...]:
        dialect = self._connection.dialect
        if dialect.name == "sqlite":
            name = tuple(part.lower() for part in name)
        return name[1:] if name[0] == dialect.default_schema_name else name


def _creation(connection: Connection, metadata: MetaData, foreseen: _Foreseen) -> list[str]:
    """Return what `create_all` would execute: types, sequences and late foreign keys too."""
    made: list[str] = []

    def keep(element: Any, *_values: object, **_options: object) -> None:  # noqa: ANN401 - as SQLAlchemy hands it over
        statement = str(element.compile(dialect=recorder.dialect)).strip()
        if not any(kind == "type" and foreseen.has_type(name) for kind, name in changes(statement)):
            made.append(statement)

    # With `named`, percent signs are not doubled as the driver would have them.
    recorder = create_mock_engine(f"{connection.dialect.name}://", keep, paramstyle="named")
    missing = set(missing_tables(connection, metadata))
    tables = [each for _, each in sorted(metadata.tables.items()) if foreseen.lacks(each, missing=each in missing)]
    if tables:
        metadata.create_all(recorder, tables=tables, checkfirst=False)
    return made
