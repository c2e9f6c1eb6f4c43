"""The commands of Flask-Migrate and of Alembic leave our tables alone, and a boot upgrades what they wrote."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect

from settings.database.migrations import MigrationManager, include_name
from settings.database.tables import VERSION_TABLE, metadata

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
    assert "thing" in inspect(engine).get_table_names()
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
