"""What a revision fails of is told as what it is, with a fix that is not the one that has just failed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from settings.database.migrations import MigrationManager
from settings.problems import Diagnosis
from tests.database.migrations.by_hand import run
from tests.database.migrations.test_folder import step


def failure(engine: Engine, folder: Path) -> Diagnosis:
    """Return why the migration of a folder failed."""
    result = MigrationManager(engine, folder=folder).ensure_tables_exist()
    assert (result.status, result.diagnosis is None) == ("failed", False)
    assert result.diagnosis is not None
    return result.diagnosis


def test_a_table_that_is_there_is_named(engine: Engine, tmp_path: Path) -> None:
    """Made by hand, say; the fix is not to migrate again."""
    run(engine, "CREATE TABLE t_a1 (id INTEGER)")
    found = failure(engine, step(tmp_path, "a1", None))
    assert "exists already: " in found.cause
    assert "t_a1" in found.cause
    assert "find out who made it" in found.fix


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ('op.create_table("w", sa.Column("id", sa.Integer, 5))', "failed with ArgumentError: 'SchemaItem' object"),
        (
            't = sa.table("x", sa.column("a", sa.JSON))\n    op.execute(t.insert().values(a={1}))',
            "StatementError",
        ),
        ('op.execute("SELEC 1")', 'does not take this statement: .*"SELEC"'),
        ('op.execute("SELECT nope")', "a (table or a )?column is missing: .*nope"),
        ('op.execute("DROP INDEX nope")', "nope"),
    ],
)
def test_a_wrong_revision_is_told_in_the_words_of_who_refuses_it(
    engine: Engine, tmp_path: Path, work: str, words: str
) -> None:
    """The URL is not to blame for it, and to migrate again is no fix."""
    found = failure(engine, step(tmp_path, "a1", None, work))
    assert re.search(words, found.cause)
    assert "URL" not in found.cause + found.fix
    assert found.fix == "correct it" or found.fix.startswith("mend the migration")


def test_an_object_of_postgresql_that_is_there_is_named(
    postgres_url: str, tmp_path: Path, open_database: Callable[..., Any]
) -> None:
    """A type made by hand is in no table of causes: the server's own words are."""
    engine = open_database(url=postgres_url).engine
    run(engine, "CREATE TYPE mood AS ENUM ('a')")
    found = failure(engine, step(tmp_path, "a1", None, """op.execute("CREATE TYPE mood AS ENUM ('a')")"""))
    assert 'type "mood" already exists' in found.cause


def test_keys_that_sqlite_cannot_check_fail_no_revision(
    tmp_path: Path, open_database: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One that was there before is logged and leaves the others checked; one that a revision makes fails it."""
    engine = open_database(url=f"sqlite:///{tmp_path}/app.db").engine
    run(engine, "CREATE TABLE p (id INTEGER PRIMARY KEY, code)", "CREATE TABLE c (code REFERENCES p (code))",
        "CREATE TABLE d (id REFERENCES p (id))")  # fmt: skip
    folder = step(tmp_path, "a1", None)
    assert MigrationManager(engine, folder=folder).ensure_tables_exist().applied == ["0001", "a1"]
    assert "the rows of c cannot be checked: foreign key mismatch" in caplog.text
    step(folder, "a2", "a1", 'op.execute("CREATE TABLE e (code REFERENCES p (code))")')
    assert "those of e cannot be told (foreign key mismatch" in failure(engine, folder).cause
    step(folder, "a2", "a1", 'op.execute("INSERT INTO d VALUES (1)")')
    assert "rows that refer to none: those of d refer to p" in failure(engine, folder).cause
