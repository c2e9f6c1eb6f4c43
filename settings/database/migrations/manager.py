"""The schema at boot: looked at first, changed only under the lock, never half-applied."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from settings.database.diagnosis import diagnose_database
from settings.database.migrations.catalogue import OUR_TABLES
from settings.database.migrations.lock import HELD, migration_transaction
from settings.database.migrations.result import AHEAD, DRIFT, ENDED, FAILED, PENDING, MigrationResult
from settings.database.migrations.revisions import HEAD
from settings.database.migrations.state import State, Wanted, look
from settings.database.tables import VERSION_TABLE
from settings.database.tables import metadata as our_metadata
from settings.probe import HealthStatus, Reading
from settings.problems import BootstrapError, Diagnosis, mask_urls

log = logging.getLogger(__name__)
OUR_NAMES = frozenset({*our_metadata.tables, VERSION_TABLE})
CODES = frozenset({FAILED, PENDING, AHEAD, DRIFT, ENDED, HELD})
BY_HAND = "run `flask bootstrap migrate`"
MEND = f"mend the migration, and {BY_HAND}"


def include_name(name: str | None, type_: str, _parent_names: object) -> bool:
    """Leave our tables out of an application's autogenerate: pass it to `context.configure(include_name=…)`."""
    return not (type_ == "table" and name in OUR_NAMES)


class MigrationManager:
    """Brings the schema up to date; needs no application context.

    Args:
        engine: The engine, or what returns the one in use.
        wait: Seconds to wait for another process that migrates.
        metadata: The application's own tables; the missing ones are created.
        folder: The application's own Alembic folder; upgraded under the same lock, without its env.py.
    """

    def __init__(
        self,
        engine: Engine | Callable[[], Engine],
        *,
        wait: float = 60,
        metadata: MetaData | None = None,
        folder: Path | str | None = None,
    ) -> None:
        self._engine: Callable[[], Engine] = (lambda: engine) if isinstance(engine, Engine) else engine
        self._wait = wait
        self._wanted = Wanted(metadata, None if folder is None else Path(folder).absolute())
        self.result: MigrationResult | None = None

    def ensure_tables_exist(self) -> MigrationResult:
        """Bring the schema up to date, once per fleet; a failure is rolled back, logged and returned, not raised."""
        begin, result = time.perf_counter(), MigrationResult()
        try:
            state = self._look()
            if state.newer:
                result.note_ahead(str(state.version), HEAD)
            elif state.complete:
                result.skipped = list(OUR_TABLES)
            else:
                self._change(result)
        except Exception as error:
            result = MigrationResult("failed", diagnosis=_why(error))
            log.error("migrations: %s. Fix: %s [%s]", *_told(result), exc_info=_trace(error))  # noqa: TRY400 - without the traceback where the diagnosis says all
        if result.status in {"ahead", "drift"}:
            log.warning("migrations: %s. Fix: %s [%s]", result, *_words(result)[1:])
        result.milliseconds = (time.perf_counter() - begin) * 1000
        self.result = result
        return result

    def create_performance_alerts_table(self) -> MigrationResult:
        """Make sure of `performance_alerts`; the same as `ensure_tables_exist`, under the name of the task."""
        return self.ensure_tables_exist()

    def check_missing_tables(self) -> list[str]:
        """Return the names of our and the application's tables that are not there."""
        return list(self._look().missing)

    def current(self) -> str | None:
        """Return our revision that the database is at, or None for a database without our tables."""
        return self._look().version

    def pending(self) -> list[str]:
        """Return what a run would do or report: revisions, missing tables, what was altered; changes nothing.

        Raises:
            BootstrapError: The application's folder, or the database, cannot be read.
        """
        with _readable(), self._engine().connect() as connection:
            state = look(connection, self._wanted)
            return [] if state.complete or state.newer else _pending(connection, state)

    def sql(self) -> str:
        """Return the statements that a run would execute now, or an empty text; runs none of them.

        Raises:
            BootstrapError: The application's folder, or the database, cannot be read.
        """
        from settings.database.migrations.script import pending_sql

        with _readable(), self._engine().connect() as connection:
            return pending_sql(connection, self._wanted)

    def reading(self) -> Reading:
        """Say whether the schema is the one that this code needs, as the database has it now."""
        try:
            return self._read(self._look())
        except Exception as error:  # noqa: BLE001 - a reading never raises
            why = _why(error)
            return Reading(HealthStatus.UNHEALTHY, why.cause, why.code, why.cause, why.fix)

    def _look(self) -> State:
        engine = self._engine()
        # To begin and to end a transaction would cost a way to the server each, for a look that changes nothing.
        level = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {}
        with engine.connect().execution_options(**level) as connection:
            return look(connection, self._wanted, self.result.fingerprint if self.result else None)

    def _change(self, result: MigrationResult) -> None:
        from settings.database.migrations.change import change

        with migration_transaction(self._engine(), self._wait) as connection:
            change(connection, self._wanted, result)

    def _read(self, state: State) -> Reading:
        if state.complete:
            return Reading(HealthStatus.HEALTHY, f"at {HEAD}")
        if state.newer or (state.strangers and not state.lacking):
            found = ", ".join(state.strangers) or state.version
            cause = f"the schema is newer than this code: it is at {found}"
            return Reading(HealthStatus.FALLBACK, cause, AHEAD, cause, "deploy the newer build")
        result = self.result
        if result is not None and result.diagnosis is not None:
            why, warned = result.diagnosis, result.status in {"ahead", "drift"}
            status = HealthStatus.FALLBACK if warned and not state.missing else HealthStatus.UNHEALTHY
            return Reading(status, str(result), why.code, str(result), why.fix)
        if not state.lacking:
            cause = "our tables were altered since, or not yet found right"
            return Reading(HealthStatus.FALLBACK, cause, DRIFT, cause, BY_HAND)
        cause = f"pending: {', '.join(state.lacking)}"
        return Reading(HealthStatus.UNHEALTHY, cause, PENDING, cause, BY_HAND)


def _pending(connection: Connection, state: State) -> list[str]:
    from settings.database.migrations.drift import find_drift

    altered = [] if state.version is None or state.unchanged else map(str, find_drift(connection))
    tables = {f"table {name} is missing" for name in state.missing}
    return [*state.lacking, *(each for each in altered if each not in tables)]


@contextmanager
def _readable() -> Iterator[None]:
    """Raise cause and fix instead of whatever Alembic, a revision or the database raises."""
    try:
        yield
    except Exception as error:
        raise error if isinstance(error, BootstrapError) else BootstrapError("DATABASE_URL", "", _why(error)) from error


def _words(result: MigrationResult) -> tuple[str, str, str]:
    why = result.diagnosis
    return (why.cause, why.fix, why.code) if why is not None else ("", "", "")


def _told(result: MigrationResult) -> tuple[str, str, str]:
    """Return the words of a failure; all but one kind of it has changed nothing."""
    cause, fix, code = _words(result)
    return cause if code == ENDED else f"{cause}; nothing was changed", fix, code


def _trace(error: BaseException) -> BaseException | None:
    """Return what to show as traceback: nothing where the diagnosis says it all."""
    return None if isinstance(error, BootstrapError) else error


def _why(error: Exception) -> Diagnosis:
    if isinstance(error, BootstrapError):
        return error.diagnosis
    if isinstance(error, DBAPIError | PoolTimeout):  # the rest of SQLAlchemy's errors are a revision's own
        found = diagnose_database(error)
        fix = MEND if "flask bootstrap migrate" in found.fix else found.fix  # which is what has failed
        return Diagnosis(FAILED, f"the migration failed: {found.cause}", fix, found.transient)
    if type(error).__name__ == "CommandError":  # Alembic's own, which is not imported for its name
        return Diagnosis(
            FAILED, f"the migrations cannot be used: {error}", "mend the folder of bootstrap(migrations=…)"
        )
    said = mask_urls(str(error)).partition("\n")[0][:200]
    cause = f"the migration failed with {type(error).__name__}: {said}"
    return Diagnosis(FAILED, cause, MEND)
