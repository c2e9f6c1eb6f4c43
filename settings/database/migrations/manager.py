"""The schema at boot: looked at first, changed only under the lock, never half-applied."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from settings.database.diagnosis import diagnose_database
from settings.database.migrations.lock import migration_transaction
from settings.database.tables import VERSION_TABLE
from settings.database.tables import metadata as our_metadata
from settings.probe import HealthStatus, Reading
from settings.problems import Diagnosis

log = logging.getLogger(__name__)
HEAD = "0001"
"""Our newest revision, known without Alembic; a test compares it with the folder's."""
APPLICATION_VERSION_TABLE = "alembic_version"
OUR_NAMES = frozenset({*our_metadata.tables, VERSION_TABLE})
AHEAD = Diagnosis(
    "migration-ahead", "the schema is newer than this code", "deploy the newer build, or downgrade the schema with it"
)
FAILED = "migration-failed"
CODES = frozenset({AHEAD.code, FAILED})


@dataclass(slots=True)
class MigrationResult:
    """What a run came to.

    Attributes:
        status: `ok`, `ahead` (a revision that this code does not know: nothing was done) or `failed` (rolled back).
        applied: Revisions that were applied, oldest first.
        created: The application's tables that were created from its metadata.
        mended: Our tables that were missing although the version said otherwise.
        milliseconds: How long it took.
        diagnosis: Cause and fix, unless `ok`.
    """

    status: Literal["ok", "ahead", "failed"] = "ok"
    applied: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    milliseconds: float = 0.0
    diagnosis: Diagnosis | None = None

    def __str__(self) -> str:
        if self.diagnosis is not None:
            return self.diagnosis.cause
        parts = [f"{name} {', '.join(value)}" for name, value in
                 (("applied", self.applied), ("created", self.created), ("mended", self.mended)) if value]  # fmt: skip
        return "; ".join(parts) or f"at {HEAD}, nothing to do"


def include_name(name: str | None, type_: str, _parent_names: object) -> bool:
    """Leave our tables out of an application's autogenerate: pass it to `context.configure(include_name=…)`."""
    return not (type_ == "table" and name in OUR_NAMES)


class MigrationManager:
    """Brings the schema up to date.

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
        self._wait, self._metadata, self._folder = wait, metadata, folder
        self.result: MigrationResult | None = None

    def ensure_tables_exist(self) -> MigrationResult:
        """Bring the schema up to date, once per fleet; a failure is rolled back, logged and returned, not raised."""
        begin, result = time.perf_counter(), MigrationResult()
        try:
            self._work(result)
        except Exception as error:
            result.status, result.diagnosis = "failed", self._why(error)
            log.exception("migrations: %s; nothing was changed. Fix: %s", result.diagnosis.cause, result.diagnosis.fix)
        result.milliseconds = (time.perf_counter() - begin) * 1000
        self.result = result
        return result

    def create_performance_alerts_table(self) -> MigrationResult:
        """Make sure of `performance_alerts`; the same as `ensure_tables_exist`, under the name of the task."""
        return self.ensure_tables_exist()

    def check_missing_tables(self) -> list[str]:
        """Return the names of our and the application's tables that are not there."""
        with self._engine().connect() as connection:
            return self._missing(connection)

    def current(self) -> str | None:
        """Return the revision that the database is at, or None for a database without our tables."""
        with self._engine().connect() as connection:
            return self._version(connection)

    def pending(self) -> list[str]:
        """Return what a run would do: our revision, and the names of missing tables."""
        return [HEAD] * (self.current() is None) + self.check_missing_tables()

    def reading(self) -> Reading:
        """Say whether the schema is the one that this code needs."""
        result = self.result
        if result is None or result.status == "ok":
            missing = self.pending() if result is None else []
            if not missing:
                return Reading(HealthStatus.HEALTHY, f"at {HEAD}")
            cause = f"pending: {', '.join(missing)}"
            return Reading(HealthStatus.UNHEALTHY, cause, "migration-pending", cause, "run flask bootstrap migrate")
        why = result.diagnosis or AHEAD
        status = HealthStatus.FALLBACK if result.status == "ahead" else HealthStatus.UNHEALTHY
        return Reading(status, why.cause, why.code, why.cause, why.fix)

    def _work(self, result: MigrationResult) -> None:
        engine = self._engine()
        with engine.connect() as connection:
            version, missing = self._version(connection), self._missing(connection)
        if version not in (None, HEAD):
            result.status, result.diagnosis = "ahead", AHEAD
            log.warning(
                "migrations: %s (%s, this code knows %s). Fix: %s [%s]",
                AHEAD.cause,
                version,
                HEAD,
                AHEAD.fix,
                AHEAD.code,
            )
        elif version is None or missing or self._folder is not None:
            with migration_transaction(engine, self._wait) as connection:
                self._change(connection, result)

    def _change(self, connection: Connection, result: MigrationResult) -> None:
        from settings.database.migrations.alembic_runner import OURS, upgrade

        known = self._version(connection) == HEAD  # again, now that nobody else can change it
        if not known:
            result.applied += upgrade(connection, OURS, VERSION_TABLE)
        if self._folder is not None:
            result.applied += upgrade(connection, self._folder, APPLICATION_VERSION_TABLE)
        missing = set(self._missing(connection))
        result.mended += sorted(missing & OUR_NAMES)
        result.created += sorted(missing - OUR_NAMES)
        our_metadata.create_all(connection)
        if self._metadata is not None:
            self._metadata.create_all(connection)

    def _missing(self, connection: Connection) -> list[str]:
        wanted = {*our_metadata.tables, *(self._metadata.tables if self._metadata is not None else ())}
        return sorted(wanted - set(inspect(connection).get_table_names()))

    def _version(self, connection: Connection) -> str | None:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()

    def _why(self, error: Exception) -> Diagnosis:
        if isinstance(error, DBAPIError | SQLAlchemyError):
            found = diagnose_database(error)
            return Diagnosis(FAILED, f"the migration failed: {found.cause}", found.fix, found.transient)
        return Diagnosis(
            FAILED, f"the migration failed with {type(error).__name__}", "see the traceback above this line"
        )
