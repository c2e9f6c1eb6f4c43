"""The schema: our tables and the application's, brought up to date under one lock."""

from settings.database.migrations.manager import MigrationManager, include_name
from settings.database.migrations.result import MigrationResult

__all__ = ["MigrationManager", "MigrationResult", "include_name"]
