"""No revision ends the transaction of a migration: it is refused, or told at once where it could not be."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from settings.database.migrations import MigrationManager
from tests.database.migrations.test_folder import step, tables

ON_BOTH = [
    'op.execute("COMMIT")',
    'op.execute("rollback")',
    'op.execute("-- done\\nCOMMIT")',
    'op.execute("/* done */ COMMIT")',
    "op.get_bind().commit()",
    "op.get_bind().rollback()",
    "op.get_bind().get_transaction().commit()",
    "op.get_bind().connection.commit()",
    'op.get_bind().connection.cursor().execute("COMMIT")',
    'with op.get_context().autocommit_block():\n        op.execute("SELECT 1")',
    'try:\n        op.get_bind().commit()\n    except Exception:\n        op.execute("SELECT 1")',
]
SCRIPT = "BEGIN; CREATE TABLE v (id INT); COMMIT;"


def assert_refused(engine: Engine, folder: Path) -> None:
    """See that the second revision of a folder fails, whole and with a way to run it, and later ones are not run."""
    step(step(folder, "a1", None), "a3", "a2", 'raise RuntimeError("it was run")')
    result = MigrationManager(engine, folder=folder).ensure_tables_exist()
    assert result.diagnosis is not None
    assert (result.status, tables(engine)) == ("failed", set())
    assert "a revision ends the transaction" in result.diagnosis.cause
    assert "flask db upgrade" in result.diagnosis.fix


@pytest.mark.parametrize("work", ON_BOTH)
def test_a_step_cannot_end_the_transaction(engine: Engine, tmp_path: Path, work: str) -> None:
    """What came before it would stay half-applied, and without the lock, also where the step hides the error."""
    assert_refused(engine, step(tmp_path, "a2", "a1", f'op.execute("CREATE TABLE x (y INT)")\n    {work}'))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


@pytest.mark.parametrize(
    "work",
    [
        f'op.execute("{SCRIPT}")',
        f'op.get_bind().connection.cursor().execute(b"{SCRIPT}")',
        f'op.get_bind().connection.cursor().executemany("{SCRIPT}", [()])',
        f'import psycopg2.sql\n    op.get_bind().connection.cursor().execute(psycopg2.sql.SQL("{SCRIPT}"))',
    ],
)
def test_a_script_cannot_end_the_transaction(
    postgres_url: str, tmp_path: Path, open_database: Callable[..., Any], work: str
) -> None:
    """PostgreSQL takes a file of statements at once, and what ends the transaction may be anywhere in it."""
    assert_refused(open_database(url=postgres_url).engine, step(tmp_path, "a2", "a1", work))


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///{}/app.db"])
def test_a_script_of_sqlite_cannot_end_the_transaction(
    url: str, tmp_path: Path, open_database: Callable[..., Any]
) -> None:
    """The driver commits before it runs a script; what was refused leaves the database as it was, in memory too."""
    engine = open_database(url=url.format(tmp_path)).engine
    assert_refused(engine, step(tmp_path, "a2", "a1", 'op.get_bind().connection.executescript("CREATE TABLE v (id)")'))
    for name in ("a2", "a3"):
        (tmp_path / "versions" / f"{name}.py").unlink()
    assert MigrationManager(engine, folder=tmp_path).ensure_tables_exist().applied == ["0001", "a1"]
    with engine.begin() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        connection.execute(text("CREATE TABLE x (y INT)"))
        connection.rollback()
    assert "x" not in tables(engine)


UNSEEN = """
    from psycopg2.extensions import cursor
    op.execute("CREATE TABLE v (id INT)")
    op.get_bind().connection.cursor(cursor_factory=cursor).execute("COMMIT")
    {}"""


@pytest.mark.parametrize("then", ["", 'raise RuntimeError("half")', 'op.execute("no SQL")'])
def test_a_transaction_that_was_ended_unseen_is_told(
    postgres_url: str, tmp_path: Path, open_database: Callable[..., Any], caplog: pytest.LogCaptureFixture, then: str
) -> None:
    """Before later revisions run, as what it is: nobody is told that nothing was changed."""
    engine = open_database(url=postgres_url).engine
    folder = step(step(step(tmp_path, "a1", None), "a2", "a1", UNSEEN.format(then)), "a3", "a2")
    result = MigrationManager(engine, folder=folder).ensure_tables_exist()
    assert result.diagnosis is not None
    assert (result.status, result.diagnosis.code) == ("failed", "migration-ended")
    assert "revision a2 ended the transaction" in result.diagnosis.cause
    assert "v" in tables(engine)
    assert "t_a3" not in tables(engine)
    assert [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "nothing was changed" not in caplog.text


def test_a_transaction_that_sqlite_rolled_back_is_told(tmp_path: Path, open_database: Callable[..., Any]) -> None:
    """A statement may have it do so, and what comes after that would be committed one by one."""
    engine = open_database(url=f"sqlite:///{tmp_path}/app.db").engine
    clash = 'op.execute("INSERT OR ROLLBACK INTO t_a1 VALUES (1), (1)")'
    work = f"try:\n        {clash}\n    except sa.exc.IntegrityError:\n        pass"
    folder = step(step(step(tmp_path, "a1", None), "a2", "a1", work), "a3", "a2")
    result = MigrationManager(engine, folder=folder).ensure_tables_exist()
    assert "revision a2 ended the transaction" in str(result)
    assert tables(engine) == set()
    step(folder, "a2", "a1", clash)
    result = MigrationManager(engine, folder=folder).ensure_tables_exist()
    assert "the data break a constraint" in str(result)


def test_a_step_may_use_savepoints(engine: Engine, tmp_path: Path) -> None:
    """To roll back to a savepoint ends nothing."""
    work = 'point = op.get_bind().begin_nested()\n    op.execute("CREATE TABLE x (y INT)")\n    point.rollback()'
    manager = MigrationManager(engine, folder=step(tmp_path, "a1", None, work))
    assert manager.ensure_tables_exist().applied == ["0001", "a1"]
    assert "x" not in tables(engine)
