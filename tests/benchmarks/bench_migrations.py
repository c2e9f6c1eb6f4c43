"""P4: finding that there is nothing to migrate or mend."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

import settings.database.migrations
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.migrations import MigrationManager
from settings.database.model import DatabaseSettings
from settings.database.tables import VERSION_TABLE
from tests.benchmarks.harness import Bar, Sampler, per_call
from tests.servers import PostgresServer


def _version(engine: Engine) -> Callable[[], object]:
    def select() -> object:
        with engine.connect() as connection:
            return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()

    return select


ENV = """
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
connectable = engine_from_config(
    config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", poolclass=pool.NullPool
)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=None, version_table="twelvefactor_version")
    with context.begin_transaction():
        context.run_migrations()
"""
"""Connects as the env.py does that `alembic init` writes."""


def _upgrade(engine: Engine) -> Callable[[], object]:
    """Return Alembic's own command on a folder with our revisions and the usual env.py."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(Path(settings.database.migrations.__path__[0]) / "versions", folder / "versions")
    (folder / "env.py").write_text(ENV)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", engine.url.render_as_string(hide_password=False).replace("%", "%%"))
    return lambda: command.upgrade(config, "heads")


@contextlib.contextmanager
def _engine(kind: str) -> Iterator[Engine]:
    with contextlib.ExitStack() as stack:
        if kind == "postgresql":
            server = PostgresServer().start()
            stack.callback(server.close)
            url = server.new_database()
        else:
            url = f"sqlite:///{Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'app.db'}"
        chosen = DatabaseSettings.model_validate({"url": url, "fallback_url": None})
        database = DatabaseManager(SmartConnectionManager(chosen, app_name="benchmark", strict=True))
        stack.callback(database.close)
        yield database.engine


@contextlib.contextmanager
def _nothing_to_do(kind: str, theirs: Callable[[Engine], Callable[[], object]]) -> Iterator[tuple[Sampler, Sampler]]:
    with _engine(kind) as engine:
        manager = MigrationManager(engine)
        assert manager.ensure_tables_exist().status == "ok"
        yield per_call(manager.ensure_tables_exist, number=50), per_call(theirs(engine), number=20)


VERSION, UPGRADE = "one SELECT version_num", "Alembic's upgrade() with nothing to do"
BARS = [
    Bar("P4.pg.version", "nothing to do, PostgreSQL", VERSION, 4.0, lambda: _nothing_to_do("postgresql", _version), 9),
    Bar("P4.pg.alembic", "nothing to do, PostgreSQL", UPGRADE, 0.2, lambda: _nothing_to_do("postgresql", _upgrade), 9),
    Bar("P4.sqlite.alembic", "nothing to do, SQLite", UPGRADE, 0.2, lambda: _nothing_to_do("sqlite", _upgrade), 9),
]
