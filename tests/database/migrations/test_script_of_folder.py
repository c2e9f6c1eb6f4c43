"""What `--sql` prints of an application's own revisions does what a boot would do with them."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Enum, Integer, MetaData, String, Table, inspect, text

from settings.database.migrations import MigrationManager
from settings.problems import BootstrapError
from tests.database.migrations.by_hand import run
from tests.database.migrations.test_folder import step
from tests.database.migrations.test_script import Script, by_hand

__all__ = ["by_hand"]
WORDS = ["50%", "a%%b", "%(x)s", "c\u2028d", "e\x0bf\x0cg\x85h"]
INSERTS = """
    op.create_table("t", sa.Column("x", sa.Text, server_default="5%"))
    for each in {words!r}[:3]:
        op.execute(f"INSERT INTO t VALUES ('{{each}}')")
    op.bulk_insert(sa.table("t", sa.column("x", sa.Text)), [{{"x": each}} for each in {words!r}[3:]])
    op.execute("INSERT INTO t DEFAULT VALUES")"""


def test_it_writes_what_a_run_would_write(engine: Engine, by_hand: Script, tmp_path: Path) -> None:
    """Percent signs are not doubled, and no text is torn at what Python takes for the end of a line."""
    script = MigrationManager(engine, folder=step(tmp_path, "a1", None, INSERTS.format(words=WORDS))).sql()
    by_hand(script)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT x FROM t")).scalars().all() == [*WORDS, "5%"]


@pytest.mark.parametrize(
    "work",
    [
        'op.execute("COMMIT")',
        'with op.get_context().autocommit_block():\n        op.execute("CREATE INDEX CONCURRENTLY i ON t_a1 (id)")',
    ],
)
def test_it_refuses_what_a_run_refuses(engine: Engine, tmp_path: Path, work: str) -> None:
    """Half of a script that goes wrong would stay."""
    folder = step(step(tmp_path, "a1", None), "a2", "a1", work)
    with pytest.raises(BootstrapError, match="a revision ends the transaction"):
        MigrationManager(engine, folder=folder).sql()


SAME = """
    op.create_table("same", sa.Column("id", sa.Integer), sa.Column("kind", sa.Enum("a", name="kinds")))
    op.create_table("Old", sa.Column("id", sa.Integer, primary_key=True))
    op.rename_table("Old", "New")
    op.execute("DROP TABLE again")"""


def test_it_makes_each_table_once(engine: Engine, by_hand: Script, tmp_path: Path) -> None:
    """A table that both the revisions and the metadata have is the revisions', and so is a type."""
    theirs = MetaData()
    for name in ("same", "other"):
        Table(name, theirs, Column("id", Integer, primary_key=True), Column("kind", Enum("a", name="kinds")))
    for name in ("New", "again"):
        Table(name, theirs, Column("id", Integer, primary_key=True), Column("note", String(9)))
    run(engine, "CREATE TABLE again (id INTEGER)")
    manager = MigrationManager(engine, metadata=theirs, folder=step(tmp_path, "a1", None, SAME))
    by_hand(manager.sql())
    assert {"same", "other", "New", "again"} < set(inspect(engine).get_table_names())
    assert [each["name"] for each in inspect(engine).get_columns("again")] == ["id", "note"]
    assert [each["name"] for each in inspect(engine).get_columns("New")] == ["id"]
    assert manager.sql() == ""
    assert str(manager.ensure_tables_exist()) == "at 0001, nothing to do"
