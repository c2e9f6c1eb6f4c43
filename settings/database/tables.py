"""Our tables, defined once for both dialects."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSONB

VERSION_TABLE = "twelvefactor_version"
NOW = text("CURRENT_TIMESTAMP")
"""In UTC on SQLite, with its time zone on PostgreSQL."""
metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, with its time zone on both dialects: SQLite stores none and gets UTC's digits."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC; a naive one is refused, since it could mean any."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without time zone; use datetime.now(UTC)")
        moment = value.astimezone(UTC) if value else value
        return moment.replace(tzinfo=None) if moment and dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def _held_by_sqlite_too(table: Table) -> None:
    """Have SQLite refuse what PostgreSQL refuses by its types: SQLite enforces none of them."""
    for column in table.columns:
        name, kind = column.name, column.type
        if isinstance(kind, String) and kind.length is not None:
            rule = f"length({name}) <= {kind.length}"
        elif isinstance(kind, Integer | Float):
            rule = f"typeof({name}) IN ('integer', 'real', 'null')"
        elif isinstance(kind, JSON):
            rule = f"{name} IS NULL OR json_valid({name})"
        elif isinstance(kind, UtcDateTime):
            rule = f"{name} IS NULL OR datetime({name}) IS NOT NULL"
        else:
            continue
        check = CheckConstraint(rule, name=f"ck_{table.name}_{name}_type").ddl_if(dialect="sqlite")
        table.append_constraint(check)


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)


def _time(name: str, *, optional: bool = False, renewed: bool = False) -> Column[Any]:
    """Return a column of moments; one that is not optional has the database's now where a row by hand leaves it out."""
    if optional:
        return Column(name, UtcDateTime)
    onupdate = now if renewed else None
    return Column(name, UtcDateTime, nullable=False, default=now, onupdate=onupdate, server_default=NOW)


def _one_of(name: str, *values: str) -> str:
    """Return a rule that PostgreSQL writes out the same when it reads what it wrote, as a restore does.

    Of `IN (…)` it makes an array, and of that array another one.
    """
    return " OR ".join(f"{name} = '{value}'" for value in values)


performance_alerts = Table(
    "performance_alerts",
    metadata,
    # upserts burn a sequence value each; SQLite counts by itself only in an INTEGER primary key
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("alert_type", String(50), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("title", String(255), nullable=False),
    Column("description", Text),
    Column("endpoint", String(255), nullable=False, server_default=""),
    Column("service_name", String(100), nullable=False, server_default=""),
    Column("metric_value", Float),
    Column("threshold_value", Float),
    Column("status", String(20), nullable=False, server_default="active"),
    Column("acknowledged_by", String(255)),
    _time("acknowledged_at", optional=True),
    _time("resolved_at", optional=True),
    _time("first_occurrence"),
    _time("last_occurrence"),
    Column("occurrence_count", Integer, nullable=False, server_default="1"),
    Column("alert_metadata", JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")),
    _time("created_at"),
    _time("updated_at", renewed=True),
    CheckConstraint(_one_of("severity", "low", "medium", "high", "critical"), name="ck_performance_alerts_severity"),
    CheckConstraint(_one_of("status", "active", "acknowledged", "resolved"), name="ck_performance_alerts_status"),
    CheckConstraint("occurrence_count >= 1", name="ck_performance_alerts_occurrence_count"),
)
_a = performance_alerts.c
Index("ix_performance_alerts_type_status", _a.alert_type, _a.status)
Index("ix_performance_alerts_severity_first", _a.severity, _a.first_occurrence)
Index("ix_performance_alerts_endpoint_status", _a.endpoint, _a.status)
Index("ix_performance_alerts_service_status", _a.service_name, _a.status)
Index("ix_performance_alerts_status_last", _a.status, _a.last_occurrence.desc())
OPEN = text("status <> 'resolved'")
"""Literal, since the predicate of a partial index must match to the letter."""
Index(
    "uq_performance_alerts_open", _a.alert_type, _a.service_name, _a.endpoint,
    unique=True, postgresql_where=OPEN, sqlite_where=OPEN,
)  # fmt: skip

worker_runs = Table(
    "worker_runs",
    metadata,
    Column("app_name", String(63), primary_key=True),
    Column("job", String(200), primary_key=True),
    Column("due_at", Float, nullable=False, server_default="0", comment="seconds since 1970 by the database's clock"),
    Column("lease_until", Float, nullable=False, server_default="0", comment="seconds since 1970"),
    Column("owner", String(200)),
    Column("runs", BigInteger, nullable=False, server_default="0"),
    Column("failures", BigInteger, nullable=False, server_default="0"),
    Column("started_at", Float, comment="seconds since 1970"),
    Column("finished_at", Float, comment="seconds since 1970"),
    Column("duration_seconds", Float),
    Column("outcome", String(20)),
    Column("error", Text),
)

process_snapshots = Table(
    "process_snapshots",
    metadata,
    Column("app_name", String(63), primary_key=True),
    Column("process", String(200), primary_key=True),
    Column("host", String(100), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("written_at", Float, nullable=False, comment="seconds since 1970 by the database's clock"),
    Column("body", JSON().with_variant(JSONB, "postgresql"), nullable=False),
)
for _table in metadata.sorted_tables:
    _held_by_sqlite_too(_table)
