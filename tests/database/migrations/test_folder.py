"""The application's own Alembic folder is upgraded too, and its own commands leave our tables alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from settings.database.migrations import MigrationManager, include_name
from settings.database.migrations.revisions import line_of
from settings.database.tables import VERSION_TABLE, metadata
from settings.probe import HealthStatus

OURS = (*metadata.tables, VERSION_TABLE)
APP = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from settings.database.migrations import include_name

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["APP_URL"]
db = SQLAlchemy(app)
Migrate(app, db, **({} if "UNGUARDED" in os.environ else {"include_name": include_name}))


class Thing(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(20), index=True)
"""
REVISION = '''"""A step."""
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {below!r}


def upgrade():
    """Do it."""
    {work}
'''


def step(folder: Path, name: str, below: str | tuple[str, ...] | None, work: str = "") -> Path:
    """Write a revision that makes a table of its own name, or does `work`."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    table = f'op.create_table("t_{name}", sa.Column("id", sa.Integer, primary_key=True))'
    (folder / "versions" / f"{name}.py").write_text(REVISION.format(name=name, below=below, work=work or table))
    return folder


def tables(engine: Engine) -> set[str]:
    """Return the names of the tables."""
    return set(inspect(engine).get_table_names())


def test_a_folder_is_upgraded_with_a_version_table_of_its_own(engine: Engine, tmp_path: Path) -> None:
    """Both folders' revisions are applied once; a new one is found without importing Alembic to look."""
    folder = step(step(tmp_path / "100%", "a1", None), "a2", "a1")
    manager = MigrationManager(engine, folder=folder)
    assert manager.pending()[:2] == ["0001", "a2"]
    assert "CREATE TABLE t_a1" in manager.sql()
    assert manager.ensure_tables_exist().applied == ["0001", "a1", "a2"]
    assert manager.reading().status is HealthStatus.HEALTHY
    assert manager.ensure_tables_exist().applied == []
    step(folder, "a3", "a2")
    assert MigrationManager(engine, folder=folder).pending() == ["a3"]
    assert manager.reading().code == "migration-pending"
    assert manager.ensure_tables_exist().applied == ["a3"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["a3"]


def test_branches_are_upgraded_to_every_head(engine: Engine, tmp_path: Path) -> None:
    """A folder with two heads ends at both, and at their merge once there is one."""
    folder = step(step(step(tmp_path, "a1", None), "b1", "a1"), "b2", "a1")
    manager = MigrationManager(engine, folder=folder)
    assert set(manager.ensure_tables_exist().applied) == {"0001", "a1", "b1", "b2"}
    assert manager.pending() == []
    step(folder, "c1", ("b1", "b2"))
    assert manager.ensure_tables_exist().applied == ["c1"]
    assert manager.pending() == []


def test_a_failing_step_leaves_nothing_half_applied(engine: Engine, tmp_path: Path) -> None:
    """The steps before it are taken back too, ours included, and the reading says why."""
    folder = step(step(tmp_path, "a1", None), "a2", "a1", 'raise RuntimeError("no")')
    manager = MigrationManager(engine, folder=folder)
    result = manager.ensure_tables_exist()
    assert (result.status, tables(engine)) == ("failed", set())
    assert "RuntimeError" in manager.reading().cause
    step(folder, "a2", "a1")
    assert manager.ensure_tables_exist().applied == ["0001", "a1", "a2"]


BATCH = """
    with op.batch_alter_table("t_a1") as batch:
        batch.alter_column("id", type_=sa.BigInteger, nullable=False)"""


def with_a_child(engine: Engine, folder: Path) -> MigrationManager:
    """Return the manager of a folder whose table has a row that another table's row refers to."""
    manager = MigrationManager(engine, folder=step(folder, "a1", None))
    manager.ensure_tables_exist()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE child (id INTEGER REFERENCES t_a1 (id) ON DELETE CASCADE)"))
        connection.execute(text("INSERT INTO t_a1 VALUES (1)"))
        connection.execute(text("INSERT INTO child VALUES (1)"))
    return manager


def test_a_copied_table_keeps_the_rows_that_refer_to_it(engine: Engine, tmp_path: Path) -> None:
    """SQLite alters by dropping the old table, which would delete what refers to it; its keys are on again."""
    manager = with_a_child(engine, tmp_path)
    step(tmp_path, "a2", "a1", BATCH)
    assert manager.ensure_tables_exist().applied == ["a2"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM child")).scalars().all() == [1]
        if engine.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_step_that_leaves_rows_without_their_parent_fails(tmp_path: Path, open_database: Callable[..., Any]) -> None:
    """With foreign keys off nothing else would tell; the step is taken back, and the reason names both tables."""
    engine = open_database(url=f"sqlite:///{tmp_path}/app.db").engine
    manager = with_a_child(engine, tmp_path)
    step(tmp_path, "a2", "a1", 'op.execute("DELETE FROM t_a1")')
    result = manager.ensure_tables_exist()
    assert result.status == "failed"
    assert "rows that refer to none: those of child refer to t_a1" in str(result)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM t_a1")).scalars().all() == [1]
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_folder_that_is_behind_the_database_is_ahead(engine: Engine, tmp_path: Path) -> None:
    """An old process of a rolling deploy serves on: no step is run, and the reading warns."""
    folder = step(step(tmp_path, "a1", None), "a2", "a1")
    MigrationManager(engine, folder=folder).ensure_tables_exist()
    (folder / "versions" / "a2.py").unlink()
    manager = MigrationManager(engine, folder=folder)
    result = manager.ensure_tables_exist()
    assert result.status == "ahead"
    assert manager.reading().status is HealthStatus.FALLBACK
    assert manager.reading().code == "migration-ahead"
    assert {"t_a1", "t_a2"} < tables(engine)


def test_a_folder_that_is_not_there_fails_the_migration(engine: Engine, tmp_path: Path) -> None:
    """A wrong path is said, not passed over."""
    result = MigrationManager(engine, folder=tmp_path / "nowhere").ensure_tables_exist()
    assert result.status == "failed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('revision = "a"\ndown_revision = None', {"a"}),
        ('revision: str = "a"\ndown_revision: str | None = "b"', {"a"}),
        ('revision = "a"\ndown_revision = ("b", "c")', {"a"}),
        ('revision = "a" + "b"', None),
        ("revision = (", None),
        ('revision = "a"\ndepends_on = "b"', None),
        ('revision, down_revision = "a", None', None),
        ('down_revision = None\nif True:\n    revision = "a"', None),
        ('revision = "a"\ndown_revision = None\nrevision = "b"', None),
        ('revision = "a"', None),
        ("", None),
    ],
)
def test_newest_revisions_are_read_without_alembic(tmp_path: Path, text: str, expected: set[str] | None) -> None:
    """Literals are read; where there is anything else, Alembic is asked."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "one.py").write_text(text)
    line = line_of(tmp_path)
    assert (None if line is None else line.heads) == expected


def test_what_is_no_revision_is_passed_over_as_alembic_does(tmp_path: Path) -> None:
    """A package's own file and an editor's lock are none."""
    folder = step(tmp_path, "a1", None)
    for name in ("__init__.py", ".#a1.py"):
        (folder / "versions" / name).write_text("")
    assert line_of(folder) == (frozenset({"a1"}), frozenset({"a1"}))


@pytest.mark.parametrize("head", ['revision = "a" + "1"\ndown_revision = None', 'revision, down_revision = "a1", None'])
def test_a_revision_that_only_alembic_can_read_is_run_once(engine: Engine, tmp_path: Path, head: str) -> None:
    """A computed or unpacked name costs the import of Alembic at each boot, and nothing else."""
    folder = step(tmp_path, "a1", None)
    written = (folder / "versions" / "a1.py").read_text()
    (folder / "versions" / "a1.py").write_text(written.replace('revision = "a1"\ndown_revision = None', head))
    assert head in (folder / "versions" / "a1.py").read_text()
    manager = MigrationManager(engine, folder=folder)
    assert manager.ensure_tables_exist().applied == ["0001", "a1"]
    assert manager.ensure_tables_exist().applied == []
    assert manager.reading().status is HealthStatus.HEALTHY


def test_only_our_tables_are_left_out() -> None:
    """Tables of the application's, and columns of any name, are compared."""
    assert not any(include_name(name, "table", {}) for name in OURS)
    assert include_name("thing", "table", {})
    assert include_name("worker_runs", "column", {})
    assert include_name(None, "schema", {})


class Project:
    """An application with Flask-Migrate, or with plain Alembic, in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self._url = folder, url
        (folder / "app.py").write_text(APP)

    def run(self, *command: str, **extra: str) -> str:
        """Run a command there; return what it printed."""
        path = f"{self.folder}{os.pathsep}{Path(__file__).parent.parent.parent.parent}"
        environ = {**os.environ, "PYTHONPATH": path, "APP_URL": self._url, "FLASK_APP": "app.py", **extra}
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def newest(self) -> str:
        """Return the text of the revision that was written last."""
        files = (self.folder / "migrations" / "versions").glob("*.py")
        return max(files, key=lambda file: file.stat().st_mtime_ns).read_text()


@pytest.fixture
def project(tmp_path: Path, url: str) -> Project:
    """An empty project that uses the database."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project", url.replace("postgresql://", "postgresql+psycopg2://"))


def test_flask_db_migrate_proposes_nothing_for_our_tables(engine: Engine, project: Project, tmp_path: Path) -> None:
    """With the real commands: without `include_name` our tables would be dropped; the folder is upgraded by a boot."""
    MigrationManager(engine).ensure_tables_exist()
    project.run("flask", "db", "init")
    project.run("flask", "db", "migrate", "-m", "unguarded", UNGUARDED="1")
    assert "op.drop_table('performance_alerts')" in project.newest()
    next((project.folder / "migrations" / "versions").glob("*.py")).unlink()
    project.run("flask", "db", "migrate", "-m", "first")
    assert "op.create_table('thing'" in project.newest()
    assert not any(name in project.newest() for name in OURS)
    applied = MigrationManager(engine, folder=project.folder / "migrations").ensure_tables_exist().applied
    assert len(applied) == 1
    assert "thing" in tables(engine)
    assert "No changes in schema detected" in project.run("flask", "db", "migrate", "-m", "second")
    assert MigrationManager(engine, folder=project.folder / "migrations").pending() == []


def test_alembic_revision_proposes_nothing_for_our_tables(engine: Engine, project: Project) -> None:
    """With plain Alembic `include_name` goes to the env.py."""
    MigrationManager(engine).ensure_tables_exist()
    project.run("alembic", "init", "migrations")
    (project.folder / "migrations" / "env.py").write_text(
        "from alembic import context\nfrom sqlalchemy import MetaData, create_engine\nimport os\n"
        "from settings.database.migrations import include_name\n"
        "with create_engine(os.environ['APP_URL']).connect() as connection:\n"
        "    context.configure(connection=connection, target_metadata=MetaData(), include_name=include_name)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    project.run("alembic", "revision", "--autogenerate", "-m", "nothing")
    assert not any(name in project.newest() for name in OURS)
    assert "drop" not in project.newest()


def test_our_newest_revision_is_the_folders() -> None:
    """What the code knows without Alembic is what Alembic finds."""
    from settings.database.migrations.alembic_runner import OURS as PLACE
    from settings.database.migrations.alembic_runner import Folder
    from settings.database.migrations.revisions import HEAD, KNOWN

    folder = Folder(PLACE, VERSION_TABLE)
    assert folder.heads() == (HEAD,)
    assert folder.unknown(KNOWN) == []
    assert folder.unknown([*KNOWN, "zzz"]) == ["zzz"]
