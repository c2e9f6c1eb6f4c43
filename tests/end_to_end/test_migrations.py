"""The schema and the probes: what a service says while its migrations are pending, failed, ahead or under way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from tests.running import SCRIPTS, flask_run, run, serving
from tests.servers import wait_until

BROKEN = """
from flask import Flask
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, Table

from bootstrap import bootstrap

metadata = MetaData()
Table("baskets", metadata, Column("id", Integer, primary_key=True), CheckConstraint("this is no SQL"))
app = Flask(__name__)
bootstrap(app, metadata=metadata)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine of the test's own on the same database."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    yield engine
    engine.dispose()


def test_a_table_of_somebody_elses_is_reported_and_stays(url: str, engine: Engine, tmp_path: Path) -> None:
    """The service runs with a warning that says so, and the other's table and rows are untouched."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE performance_alerts (note VARCHAR(20))"))
        connection.execute(text("INSERT INTO performance_alerts VALUES ('theirs')"))
    with serving(flask_run(), tmp_path, DATABASE_URL=url) as running:
        ready = running.ask("/readyz")
        assert (ready.status, ready.json()["status"]) == (200, "warn")
        assert "migration-drift" in ready.text
        assert "  migrations  fallback" in running.output()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT note FROM performance_alerts")).all() == [("theirs",)]


def test_a_failed_migration_is_rolled_back_and_named(url: str, engine: Engine, tmp_path: Path) -> None:
    """The boot goes on degraded: /livez 200, /readyz 503 with the reason, and no table is there."""
    (tmp_path / "broken.py").write_text(BROKEN)
    with serving(flask_run("broken"), tmp_path, DATABASE_URL=url) as running:
        assert running.ask("/livez").status == 200
        ready = running.ask("/readyz")
        assert (ready.status, "migrations: migration-failed" in ready.text) == (503, True)
        assert "  migrations  failed" in running.output()
    assert inspect(engine).get_table_names() == []


def test_a_newer_schema_is_served_with_a_warning(url: str, engine: Engine, tmp_path: Path) -> None:
    """Old processes survive a rolling deploy: /readyz 200 with `warn`, and no DDL."""
    with serving(flask_run(), tmp_path, DATABASE_URL=url):
        pass
    with engine.begin() as connection:
        connection.execute(text("UPDATE twelvefactor_version SET version_num = '9999'"))
    with serving(flask_run(), tmp_path, DATABASE_URL=url) as running:
        ready = running.ask("/readyz")
        assert (ready.status, ready.json()["status"]) == (200, "warn")
        assert "  migrations  fallback" in running.output()


def test_migrations_by_hand_make_a_running_service_ready(url: str, tmp_path: Path) -> None:
    """With DATABASE_MIGRATE=false /readyz names what is pending, until the command has run."""
    with serving(flask_run(), tmp_path, DATABASE_URL=url, DATABASE_MIGRATE="false") as running:
        ready = running.ask("/readyz")
        assert (ready.status, "migration-pending" in ready.text) == (503, True)
        done = run([str(SCRIPTS / "flask"), "--app", "bootstrap", "bootstrap", "migrate"], tmp_path, DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: running.ask("/readyz").status == 200, seconds=15, what="readiness")


def test_probes_answer_while_another_process_migrates(url: str, engine: Engine, tmp_path: Path) -> None:
    """A process that serves does not wait for the lock of one that migrates."""
    with serving(flask_run(), tmp_path, DATABASE_URL=url, DATABASE_TIMEOUT=2) as running:
        wait_until(lambda: running.ask("/readyz").status == 200, what="readiness")
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE twelvefactor_version IN SHARE ROW EXCLUSIVE MODE"))
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            for path in ("/livez", "/readyz"):
                assert running.ask(path, timeout=2).status == 200
