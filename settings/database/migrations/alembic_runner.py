"""Alembic without its command line, its env.py or its logging: revisions run on our connection, in our transaction."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event

from settings.database.migrations.result import FAILED
from settings.problems import BootstrapError, Diagnosis

OURS = "settings.database:migrations"


_ENDS = re.compile(r"\s*(COMMIT|END|ABORT|ROLLBACK(?!\s+((WORK|TRANSACTION)\s+)?TO\b))\b", re.IGNORECASE)


def _refuse() -> NoReturn:
    cause = "a revision ends the transaction (autocommit_block, COMMIT or ROLLBACK), which could leave it half-applied"
    fix = "run that revision with `flask db upgrade` or `alembic upgrade`"
    raise BootstrapError("DATABASE_MIGRATE", "", Diagnosis(FAILED, cause, fix))


@contextmanager
def _kept_whole(connection: Connection) -> Iterator[None]:
    """Refuse what would end the transaction, and with it the lock, in the middle of a migration."""

    def look(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if _ENDS.match(statement):
            _refuse()

    event.listen(connection, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", look)


class Folder:
    """An Alembic folder, without its env.py.

    Args:
        location: A folder, or `package:folder`.
        version_table: Where the database keeps the folder's revision.
        there: Tables that need not be made, for revisions of ours.
    """

    def __init__(self, location: str | Path, version_table: str, *, there: Collection[str] = ()) -> None:
        self._config = Config(attributes={"there": frozenset(there)})
        self._config.set_main_option("script_location", str(location).replace("%", "%%"))
        self._config.set_main_option("path_separator", "os")
        self._scripts = ScriptDirectory.from_config(self._config)
        self._version_table = version_table

    def heads(self) -> tuple[str, ...]:
        """Return the newest revisions."""
        return tuple(self._scripts.get_heads())

    def unknown(self, revisions: Collection[str]) -> list[str]:
        """Return those of `revisions` that the folder does not have: the database is ahead of it."""
        there = {script.revision for script in self._scripts.walk_revisions()}
        return sorted(set(revisions) - there)

    def unapplied(self, revisions: Collection[str]) -> list[str]:
        """Return what an upgrade from `revisions` would apply, oldest first."""
        return (
            [] if self.unknown(revisions) else [str(each.revision.revision) for each in self._steps(tuple(revisions))]
        )

    def upgrade(self, connection: Connection) -> list[str]:
        """Bring the schema to the newest revisions and return those that were applied, oldest first."""
        with _kept_whole(connection):
            return self._run({"connection": connection})

    def sql(self, connection: Connection, current: Collection[str]) -> str:
        """Return the statements of an upgrade from the revisions `current`; runs nothing."""
        buffer = StringIO()
        start = {"starting_rev": tuple(current)} if current else {}
        self._run({"dialect_name": connection.dialect.name, "output_buffer": buffer}, as_sql=True, **start)
        table = f"CREATE TABLE {self._version_table}"
        return buffer.getvalue().replace(table, table.replace("TABLE", "TABLE IF NOT EXISTS"), 1).strip()

    def _run(self, options: dict[str, Any], **of_the_environment: Any) -> list[str]:
        applied: list[str] = []

        def steps(revision: Any, _context: object) -> list[Any]:  # noqa: ANN401 - as Alembic hands it over
            found = self._steps(revision)
            applied.extend(str(step.revision.revision) for step in found)
            return found

        with EnvironmentContext(self._config, self._scripts, fn=steps, **of_the_environment) as environment:
            environment.configure(version_table=self._version_table, **options)
            if "connection" in options:
                vars(environment.get_context())["autocommit_block"] = _refuse
            environment.run_migrations()
        return applied

    def _steps(self, revision: Any) -> list[Any]:  # noqa: ANN401 - as Alembic hands it over
        return list(self._scripts._upgrade_revs("heads", revision))  # what command.upgrade itself calls
