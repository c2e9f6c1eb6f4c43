"""The application's own Alembic folder is upgraded too, whole or not at all, without its env.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, inspect, text

from settings.database.migrations import MigrationManager
from settings.probe import HealthStatus
from settings.problems import BootstrapError

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
    (folder / "env.py").write_text("raise SystemExit('it was run')")
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


@pytest.mark.parametrize(
    ("written", "cause"),
    [
        ("revision = (", "SyntaxError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ('revision = "a1"\ndown_revision = "a2"', "Cycle is detected"),
        ('revision = "a1"\ndown_revision = "gone"', "gone"),
    ],
)
@pytest.mark.filterwarnings("ignore:Revision gone")
def test_a_broken_folder_is_said_and_never_passed_over(
    tmp_path: Path, open_database: Callable[..., Any], written: str, cause: str
) -> None:
    """On a database that is right otherwise too; and what only asks raises cause and fix, not Alembic's errors."""
    engine = open_database(url=f"sqlite:///{tmp_path}/app.db").engine
    MigrationManager(engine).ensure_tables_exist()
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "a1.py").write_text(written)
    (tmp_path / "versions" / "a2.py").write_text('revision = "a2"\ndown_revision = "a1"')
    manager = MigrationManager(engine, folder=tmp_path)
    for ask in (manager.pending, manager.sql):
        with pytest.raises(BootstrapError, match=cause):
            ask()
    assert manager.ensure_tables_exist().status == "failed"
    assert cause in manager.reading().cause


def test_a_folder_that_is_not_there_fails_the_migration(engine: Engine, tmp_path: Path) -> None:
    """A wrong path is said, not passed over."""
    result = MigrationManager(engine, folder=tmp_path / "nowhere").ensure_tables_exist()
    assert result.status == "failed"


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


CONVENTION = {"uq": "uq_%(table_name)s_%(column_0_name)s", "ck": "ck_%(table_name)s_%(constraint_name)s"}
UNNAMED = """
    op.create_table("n", sa.Column("a", sa.Text), sa.UniqueConstraint("a"), sa.CheckConstraint("a <> ''", "filled"))"""
DROPS = """
    with op.batch_alter_table("n") as batch:
        batch.drop_constraint("uq_n_a", type_="unique")
        batch.drop_constraint(op.f("ck_n_filled"), type_="check")"""


def test_revisions_follow_the_naming_convention_of_the_metadata(engine: Engine, tmp_path: Path) -> None:
    """They make the names that `flask db upgrade` makes, which later revisions count on."""
    metadata = MetaData(naming_convention=CONVENTION)
    manager = MigrationManager(engine, metadata=metadata, folder=step(tmp_path, "a1", None, UNNAMED))
    assert "CONSTRAINT uq_n_a UNIQUE" in manager.sql()
    assert manager.ensure_tables_exist().applied == ["0001", "a1"]
    assert [each["name"] for each in inspect(engine).get_check_constraints("n")] == ["ck_n_filled"]
    step(tmp_path, "a2", "a1", DROPS)
    assert manager.ensure_tables_exist().applied == ["a2"]
    assert not inspect(engine).get_unique_constraints("n")
    assert not inspect(engine).get_check_constraints("n")
