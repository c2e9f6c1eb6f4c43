"""P2 and P3: a cold process, from nothing to its first response, by its CPU time."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.harness import Bar, Sampler, process_cpu
from tests.servers import PostgresServer

STACKS = Path(__file__).parent / "stacks"
HOUSE = Path(__file__).parent.parent.parent
ENV_PY = """
from alembic import context
from flask import current_app
connectable = current_app.extensions["migrate"].db.engine
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = '''
"""Two tables."""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    """Make them."""
    op.create_table("usual_alerts", sa.Column("id", sa.BigInteger, primary_key=True))
    op.create_table("usual_runs", sa.Column("job", sa.String(200), primary_key=True))
'''


def _usual_migrations(folder: Path) -> Path:
    migrations = folder / "migrations"
    (migrations / "versions").mkdir(parents=True)
    (migrations / "env.py").write_text(ENV_PY)
    (migrations / "alembic.ini").write_text("[alembic]\n")
    (migrations / "script.py.mako").write_text("")
    (migrations / "versions" / "0001_tables.py").write_text(REVISION)
    return migrations


def _sampler(stack: str, folder: Path, url: Callable[[], str]) -> Sampler:
    def sample() -> float:
        environ = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), "APP_ENV": "development", "DATABASE_URL": url(),
            "LOG_LEVEL": "INFO", "USUAL_MIGRATIONS": str(folder / "migrations"),
        }  # fmt: skip
        return process_cpu([sys.executable, str(STACKS / f"{stack}.py")], env=environ, cwd=str(folder))()

    return sample


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        _usual_migrations(Path(name))
        yield Path(name)


@contextlib.contextmanager
def _at_head(stack: str, postgres: PostgresServer | None = None) -> Iterator[tuple[Sampler, Sampler]]:
    with _folder() as folder:
        url = postgres.new_database() if postgres else f"sqlite:///{folder / 'app.db'}"
        samplers = [_sampler(each, folder, lambda: url) for each in ("ours", stack)]
        samplers[0]()
        yield samplers[0], samplers[1]


@contextlib.contextmanager
def _at_head_on_postgres(stack: str) -> Iterator[tuple[Sampler, Sampler]]:
    server = PostgresServer().start()
    try:
        with _at_head(stack, server) as pair:
            yield pair
    finally:
        server.close()


@contextlib.contextmanager
def _empty() -> Iterator[tuple[Sampler, Sampler]]:
    numbers = iter(range(1_000_000))
    with _folder() as folder:
        yield tuple(  # type: ignore[misc] # two of them
            _sampler(each, folder, lambda: f"sqlite:///{folder / f'{next(numbers)}.db'}") for each in ("ours", "usual")
        )


BARS = [
    Bar("P2.floor", "boot at head, SQLite", "the libraries by hand", 1.10, lambda: _at_head("floor"), 15),
    Bar("P2.usual", "boot at head, SQLite", "the usual stack", 0.95, lambda: _at_head("usual"), 15),
    Bar(
        "P2.pg.floor",
        "boot at head, PostgreSQL",
        "the libraries by hand",
        1.10,
        lambda: _at_head_on_postgres("floor"),
        15,
    ),
    Bar("P2.pg.usual", "boot at head, PostgreSQL", "the usual stack", 0.95, lambda: _at_head_on_postgres("usual"), 15),
    Bar("P3", "boot of an empty database, SQLite", "the usual stack", 1.05, _empty, 15),
]
