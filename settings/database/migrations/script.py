"""What a run would do, as a script for `psql` or `sqlite3`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, MetaData, Table, create_mock_engine

from settings.database.migrations.alembic_runner import OURS, Folder
from settings.database.migrations.catalogue import OUR_TABLES
from settings.database.migrations.drift import find_drift
from settings.database.migrations.mending import plan
from settings.database.migrations.revisions import APPLICATION_VERSION_TABLE, HEAD
from settings.database.migrations.state import State, Wanted, look, missing_tables
from settings.database.migrations.version_table import completing_statements
from settings.database.tables import VERSION_TABLE


def pending_sql(connection: Connection, wanted: Wanted) -> str:
    """Return the statements that a run would execute now, in one transaction; changes nothing.

    What a run would only report is there as a comment.
    """
    state = look(connection, wanted)
    if state.newer:
        return ""
    lines = [*_ours(connection, state), *_theirs(connection, wanted, state)]
    if not lines:
        return ""
    before = ["PRAGMA foreign_keys = OFF;"] if connection.dialect.name == "sqlite" else []
    return "\n".join([*before, "BEGIN;", *lines, "COMMIT;"])


def _ours(connection: Connection, state: State) -> list[str]:
    lines: list[str] = []
    there = [name for name in OUR_TABLES if name not in state.missing]
    if state.version != HEAD:
        lines += Folder(OURS, VERSION_TABLE, there=there).sql(connection, ()).splitlines()
    lines += [f"{statement};" for statement in completing_statements(connection)]
    drift = find_drift(connection) if there and not state.unchanged else []
    if state.version != HEAD:  # the revision makes those that are missing
        drift = [each for each in drift if each.wanted.table in there]
    return [*lines, *(line for step in plan(connection, drift) for line in step.script())]


def _theirs(connection: Connection, wanted: Wanted, state: State) -> list[str]:
    lines: list[str] = []
    if wanted.folder is not None and not state.strangers:
        folder = Folder(wanted.folder, APPLICATION_VERSION_TABLE)
        lines += folder.sql(connection, sorted(state.revisions)).splitlines()
    if wanted.metadata is not None:
        missing = missing_tables(connection, wanted.metadata)
        lines += [f"{statement};" for statement in _creation(connection, wanted.metadata, missing)]
    return lines


def _creation(connection: Connection, metadata: MetaData, tables: Sequence[Table]) -> list[str]:
    """Return what `create_all` would execute: types, sequences and late foreign keys too."""
    statements: list[str] = []

    def keep(element: Any, *_values: object, **_options: object) -> None:  # noqa: ANN401 - as SQLAlchemy hands it over
        statements.append(str(element.compile(dialect=recorder.dialect)).strip())

    # With `named`, percent signs are not doubled as the driver would have them.
    recorder = create_mock_engine(f"{connection.dialect.name}://", keep, paramstyle="named")
    if tables:
        metadata.create_all(recorder, tables=tables, checkfirst=False)
    return statements
