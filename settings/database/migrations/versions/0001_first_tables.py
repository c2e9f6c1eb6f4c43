"""Create performance_alerts, worker_runs and process_snapshots."""

from alembic import op
from sqlalchemy import Table, inspect
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from settings.database.tables import performance_alerts, process_snapshots, worker_runs

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES: tuple[Table, ...] = (performance_alerts, worker_runs, process_snapshots)


def upgrade() -> None:
    """Create the tables with their indexes and constraints, from the one definition of them.

    A table that is there is left alone: whoever made it, what it lacks is mended or reported afterwards.
    """
    for table in TABLES:
        if op.get_context().as_sql or not inspect(op.get_bind()).has_table(table.name):
            op.execute(CreateTable(table))
            for index in sorted(table.indexes, key=lambda each: str(each.name)):
                op.execute(CreateIndex(index))


def downgrade() -> None:
    """Drop the tables, with what is in them."""
    for table in reversed(TABLES):
        op.execute(DropTable(table, if_exists=True))
