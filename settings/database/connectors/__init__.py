"""How an engine is made for each kind of database."""

from settings.database.connectors.postgresql import PostgreSQLConnector
from settings.database.connectors.sqlite import SQLiteConnector

__all__ = ["PostgreSQLConnector", "SQLiteConnector"]
