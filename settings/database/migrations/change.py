"""The work under the lock: revisions, the application's tables, and what was dropped or altered by hand."""

import logging
from collections import Counter

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from settings.database.diagnosis import diagnose_database
from settings.database.migrations.alembic_runner import OURS, Folder
from settings.database.migrations.catalogue import OUR_TABLES, fingerprint, read_stored
from settings.database.migrations.drift import find_drift
from settings.database.migrations.mending import mend
from settings.database.migrations.result import DRIFT, FAILED, MigrationResult
from settings.database.migrations.revisions import APPLICATION_VERSION_TABLE, HEAD
from settings.database.migrations.state import State, Wanted, look, missing_tables
from settings.database.migrations.version_table import prepare_version_table
from settings.database.tables import VERSION_TABLE
from settings.problems import BootstrapError, Diagnosis

log = logging.getLogger(__name__)


def change(connection: Connection, wanted: Wanted, result: MigrationResult) -> None:
    """Bring the schema up to date within the transaction of `connection`, and note in `result` what was done."""
    state = look(connection, wanted)  # again, now that nobody else can change it
    if state.newer:
        result.note_ahead(str(state.version), HEAD)
        return
    result.skipped = [name for name in OUR_TABLES if name not in state.missing]
    if state.version != HEAD:
        prepare_version_table(connection)
        result.applied += Folder(OURS, VERSION_TABLE, there=result.skipped).upgrade(connection)
    _change_application(connection, wanted, state, result)
    _mend(connection, result)


def _change_application(connection: Connection, wanted: Wanted, state: State, result: MigrationResult) -> None:
    if wanted.folder is not None:
        folder = Folder(wanted.folder, APPLICATION_VERSION_TABLE, metadata=wanted.metadata)
        if state.strangers:
            result.note_ahead(", ".join(state.strangers), ", ".join(folder.heads()))
        else:
            result.applied += _upgrade(connection, folder)
    if wanted.metadata is not None:
        missing = missing_tables(connection, wanted.metadata)
        wanted.metadata.create_all(connection)
        result.created += [table.fullname for table in missing]


def _upgrade(connection: Connection, folder: Folder) -> list[str]:
    """Upgrade the application's folder; rows that then refer to none fail it, since SQLite's foreign keys are off."""
    before = _orphans(connection)
    applied = folder.upgrade(connection)
    broken = ", ".join(sorted(_orphans(connection) - before))
    if broken:
        cause = f"the migration leaves rows that refer to none: {broken}"
        fix = "delete or alter them in the same revision; SQLite's foreign keys are off while tables change"
        raise BootstrapError("DATABASE_URL", "", Diagnosis(FAILED, cause, fix))
    return applied


def _orphans(connection: Connection) -> Counter[str]:
    """Return how many rows refer to none on SQLite, by their table and the one that they refer to."""
    if connection.dialect.name != "sqlite":
        return Counter()
    tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    return Counter(phrase for table in tables for phrase in _orphans_of(connection, str(table)))


def _orphans_of(connection: Connection, table: str) -> list[str]:
    quoted = connection.dialect.identifier_preparer.quote_identifier(table)
    try:
        rows = connection.exec_driver_sql(f"PRAGMA foreign_key_check({quoted})").all()
    except OperationalError as error:  # it refers to what is no key, and SQLite checks no row of it
        log.warning("migrations: the rows of %s cannot be checked: %s", table, error.orig)
        return [f"those of {table} cannot be told ({error.orig})"]
    return [f"those of {table} refer to {parent}" for _child, _row, parent, _key in rows]


def _mend(connection: Connection, result: MigrationResult) -> None:
    try:
        drift = find_drift(connection)
    except DBAPIError as error:
        _note_uncompared(connection, result, diagnose_database(error))
        return
    if drift:
        result.mended, result.reported = mend(connection, drift)
    if result.reported:
        _note_drift(result, "tables differ from their definition")
    else:
        result.fingerprint = fingerprint(read_stored(connection))
    try:
        with connection.begin_nested():
            prepare_version_table(connection)
            statement = f"UPDATE {VERSION_TABLE} SET fingerprint = :found"  # noqa: S608 - a constant
            connection.execute(text(statement), {"found": result.fingerprint})
    except DBAPIError as error:  # the tables are right; only the next boot compares them again
        log.info("migrations: what was compared could not be noted: %s", diagnose_database(error).cause)


def _note_drift(result: MigrationResult, cause: str) -> None:
    if result.status == "ok":
        fix = "run the statements named, then `flask bootstrap migrate`"
        result.status, result.diagnosis = "drift", Diagnosis(DRIFT, cause, fix)


def _note_uncompared(connection: Connection, result: MigrationResult, why: Diagnosis) -> None:
    """Report that temporary tables, with which ours are compared, cannot be made: no reason not to serve."""
    names = (
        "SELECT quote_ident(current_database()), quote_ident(current_user), current_setting('transaction_read_only')"
    )
    database, role, read_only = connection.exec_driver_sql(names).one()
    grant = f"run: GRANT TEMPORARY ON DATABASE {database} TO {role};"
    result.reported = [f"to compare needs temporary tables: {why.cause}; {why.fix if read_only == 'on' else grant}"]
    _note_drift(result, "tables could not be compared with their definition")
