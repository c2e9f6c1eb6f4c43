"""Alembic without its command line, its env.py or its logging: revisions run on our connection, in our transaction."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

OURS = "settings.database:migrations"


def _scripts(location: str) -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", location.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config, ScriptDirectory.from_config(config)


def heads(location: str | Path = OURS) -> tuple[str, ...]:
    """Return the newest revisions of a folder."""
    return tuple(_scripts(str(location))[1].get_heads())


def upgrade(connection: Connection, location: str | Path, version_table: str) -> list[str]:
    """Bring the schema to the newest revision and return the revisions that were applied, oldest first.

    Raises:
        CommandError: When the database is at a revision that the folder does not know.
    """
    config, scripts = _scripts(str(location))
    applied: list[str] = []

    def steps(revision: tuple[str, ...] | str, _context: MigrationContext) -> list[object]:
        found = scripts._upgrade_revs("heads", revision)  # type: ignore[arg-type]
        applied.extend(step.revision.revision for step in found)  # type: ignore[attr-defined] # upgrades are RevisionSteps
        return list(found)

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=version_table)
        environment.run_migrations()
    return applied
