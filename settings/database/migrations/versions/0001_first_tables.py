"""Create performance_alerts, worker_runs and process_snapshots."""

from alembic import op

from settings.database.tables import metadata, performance_alerts, process_snapshots, worker_runs

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables with their indexes and constraints, from the one definition of them."""
    metadata.create_all(op.get_bind(), tables=[performance_alerts, worker_runs, process_snapshots])


def downgrade() -> None:
    """Drop the tables, with what is in them."""
    metadata.drop_all(op.get_bind(), tables=[performance_alerts, worker_runs, process_snapshots])
