"""Alembic without its command line, its env.py or its logging: revisions run on our connection, in our transaction."""

from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from settings.database.migrations.statements import ends_transaction
from settings.database.migrations.whole import Whole, refusal

OURS = "settings.database:migrations"


def _refuse(*_arguments: object) -> NoReturn:
    raise refusal()


class Folder:
    """An Alembic folder, without its env.py.

    Args:
        location: A folder, or `package:folder`.
        version_table: Where the database keeps the folder's revision.
        there: Tables that need not be made, for revisions of ours.
        metadata: Whose naming convention the revisions follow, as with env.py's `target_metadata`.
    """

    def __init__(
        self,
        location: str | Path,
        version_table: str,
        *,
        there: Collection[str] = (),
        metadata: MetaData | None = None,
    ) -> None:
        self._config = Config(attributes={"there": frozenset(there)})
        self._config.set_main_option("script_location", str(location).replace("%", "%%"))
        self._config.set_main_option("path_separator", "os")
        self._scripts = ScriptDirectory.from_config(self._config)
        self._version_table, self._metadata = version_table, metadata

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
        with Whole(connection) as whole:
            return self._run({"connection": connection}, whole)

    def sql(self, connection: Connection, current: Collection[str]) -> str:
        """Return the statements of an upgrade from the revisions `current`; runs nothing.

        Raises:
            BootstrapError: A revision ends the transaction, which a run refuses too.
        """
        buffer = StringIO()
        start: dict[str, Any] = {"starting_rev": tuple(current)} if current else {}
        # With `named`, percent signs are not doubled as the driver would have them.
        options = {"dialect_name": connection.dialect.name, "dialect_opts": {"paramstyle": "named"}}
        self._run({**options, "output_buffer": buffer}, as_sql=True, **start)
        if ends_transaction(buffer.getvalue()):
            _refuse()
        table = f"CREATE TABLE {self._version_table}"
        return buffer.getvalue().replace(table, table.replace("TABLE", "TABLE IF NOT EXISTS"), 1).strip()

    def _run(self, options: dict[str, Any], whole: Whole | None = None, **of_the_environment: Any) -> list[str]:
        applied: list[str] = []

        def steps(revision: Any, _context: object) -> list[Any]:  # noqa: ANN401 - as Alembic hands it over
            found = self._steps(revision)
            for step in found:
                applied.append(str(step.revision.revision))
                if whole is not None:
                    step.migration_fn = whole.step(applied[-1], step.migration_fn)
            return found

        with EnvironmentContext(self._config, self._scripts, fn=steps, **of_the_environment) as environment:
            environment.configure(version_table=self._version_table, target_metadata=self._metadata, **options)
            vars(environment.get_context())["autocommit_block"] = _refuse if whole is None else whole.refuse
            environment.run_migrations()
        return applied

    def _steps(self, revision: Any) -> list[Any]:  # noqa: ANN401 - as Alembic hands it over
        return list(self._scripts._upgrade_revs("heads", revision))  # what command.upgrade itself calls
