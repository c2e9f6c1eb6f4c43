"""Create performance_alerts, worker_runs and process_snapshots."""

from alembic import op
from sqlalchemy import Table
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from settings.database.tables import performance_alerts, process_snapshots, worker_runs

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES: tuple[Table, ...] = (performance_alerts, worker_runs, process_snapshots)


def upgrade() -> None:
    """Create the tables with their indexes and constraints, from the one definition of them.

    A table that is there is left alone, and an index of another table that has the name of one of ours: whoever made
    it, what is lacking is mended or reported afterwards.
    """
    context = op.get_context()
    there = context.config.attributes.get("there", ()) if context.config is not None else ()
    for table in (each for each in TABLES if each.name not in there):
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            op.execute(CreateIndex(index, if_not_exists=True))


def downgrade() -> None:
    """Drop the tables, with what is in them."""
    for table in reversed(TABLES):
        op.execute(DropTable(table, if_exists=True))
