"""The work under the lock: revisions, the application's tables, and what was dropped or altered by hand."""

from collections import Counter

from sqlalchemy import Connection, text

from settings.database.migrations.alembic_runner import OURS, Folder
from settings.database.migrations.catalogue import OUR_TABLES, fingerprint, read_stored
from settings.database.migrations.drift import find_drift, statements_for
from settings.database.migrations.mending import mend, statements_of
from settings.database.migrations.result import DRIFT, FAILED, MigrationResult
from settings.database.migrations.revisions import APPLICATION_VERSION_TABLE, HEAD
from settings.database.migrations.state import State, Wanted, look, missing_tables
from settings.database.tables import VERSION_TABLE
from settings.problems import BootstrapError, Diagnosis

DRIFTED = Diagnosis(
    DRIFT, "tables differ from their definition", "run the statements named, then `flask bootstrap migrate`"
)


def change(connection: Connection, wanted: Wanted, result: MigrationResult) -> None:
    """Bring the schema up to date within the transaction of `connection`, and note in `result` what was done."""
    state = look(connection, wanted)  # again, now that nobody else can change it
    if state.newer:
        result.note_ahead(str(state.version), HEAD)
        return
    result.skipped = [name for name in OUR_TABLES if name not in state.missing]
    if state.version != HEAD:
        _prepare_version_table(connection)
        result.applied += Folder(OURS, VERSION_TABLE).upgrade(connection)
    _change_application(connection, wanted, state, result)
    _mend(connection, result)


def _change_application(connection: Connection, wanted: Wanted, state: State, result: MigrationResult) -> None:
    if wanted.folder is not None:
        folder = Folder(wanted.folder, APPLICATION_VERSION_TABLE)
        if state.strangers:
            result.note_ahead(", ".join(state.strangers), ", ".join(folder.heads()))
        else:
            result.applied += _upgrade(connection, folder)
    if wanted.metadata is not None:
        missing = missing_tables(connection, wanted.metadata.sorted_tables)
        wanted.metadata.create_all(connection)
        result.created += [table.fullname for table in missing]


def _upgrade(connection: Connection, folder: Folder) -> list[str]:
    """Upgrade the application's folder; rows that then refer to none fail it, since SQLite's foreign keys are off."""
    before = _orphans(connection)
    applied = folder.upgrade(connection)
    broken = ", ".join(f"{child} refer to {parent}" for child, parent in sorted(_orphans(connection) - before))
    if broken:
        cause = f"the migration leaves rows that refer to none: those of {broken}"
        fix = "delete or alter them in the same revision; SQLite's foreign keys are off while tables change"
        raise BootstrapError("DATABASE_URL", "", Diagnosis(FAILED, cause, fix))
    return applied


def _orphans(connection: Connection) -> Counter[tuple[str, str]]:
    """Return how many rows refer to none on SQLite, by their table and the one that they refer to."""
    if connection.dialect.name != "sqlite":
        return Counter()
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return Counter((str(child), str(parent)) for child, _row, parent, _key in rows)


def _mend(connection: Connection, result: MigrationResult) -> None:
    drift = find_drift(connection)
    if drift:
        result.mended, result.reported = mend(connection, drift)
    if result.reported and result.status == "ok":
        result.status, result.diagnosis = "drift", DRIFTED
    _prepare_version_table(connection)
    found = None if result.reported else fingerprint(read_stored(connection))
    connection.execute(text(f"UPDATE {VERSION_TABLE} SET fingerprint = :found"), {"found": found})  # noqa: S608 - a constant


def _prepare_version_table(connection: Connection) -> None:
    """Make our version table as Alembic would, with a column for the fingerprint."""
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, fingerprint VARCHAR(64),"
        f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    columns = connection.exec_driver_sql(f"SELECT * FROM {VERSION_TABLE} WHERE 1 = 0").keys()  # noqa: S608 - a constant
    if "fingerprint" not in columns:
        connection.exec_driver_sql(f"ALTER TABLE {VERSION_TABLE} ADD COLUMN fingerprint VARCHAR(64)")


def pending_sql(connection: Connection, wanted: Wanted) -> str:
    """Return the statements that a run would execute now; changes nothing."""
    parts: list[str] = []
    state = look(connection, wanted)
    if state.version is None:
        parts.append(Folder(OURS, VERSION_TABLE).sql(connection, ()))
    elif state.version == HEAD:
        parts += [f"{statement};" for statement in statements_of(connection, find_drift(connection))]
    if wanted.folder is not None and not state.strangers:
        parts.append(Folder(wanted.folder, APPLICATION_VERSION_TABLE).sql(connection, state.revisions))
    if wanted.metadata is not None:
        for table in missing_tables(connection, wanted.metadata.sorted_tables):
            parts += [f"{statement};" for statement in statements_for(connection, table)]
    return "\n".join(part.strip() for part in parts if part.strip())
