"""The database's own clock, which all processes of a fleet share."""

from sqlalchemy import ColumnElement, Float, cast, func, literal_column


def database_now(dialect: str) -> ColumnElement[float]:
    """Return seconds since 1970 by the database's clock, which runs on within a transaction.

    Args:
        dialect: `postgresql` or `sqlite`, as the engine says.
    """
    if dialect == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()), Float)
    return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
