"""The database room: `DATABASE_…` read, connected, diagnosed. Light; what needs SQLAlchemy is in the modules."""

from settings.database.url import DatabaseConfig, DatabaseType, DatabaseURLParser, ValidationResult

__all__ = ["DatabaseConfig", "DatabaseType", "DatabaseURLParser", "ValidationResult"]
