"""Create the shop's tables."""

import sqlalchemy as sa
from alembic import op

revision = "shop1"
down_revision = None


def upgrade() -> None:
    """Make orders and runs."""
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "shop_orders", sa.Column("id", big, primary_key=True), sa.Column("item", sa.String(100), nullable=False)
    )
    op.create_table(
        "shop_runs",
        sa.Column("id", big, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
    )
