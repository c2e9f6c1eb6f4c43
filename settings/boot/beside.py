"""Flask-SQLAlchemy beside our engine: what it is configured with, and its engine after a reconnect."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

from settings.database.manager import FLASK_OPTIONS, FLASK_URL, DatabaseManager


def lead_flask_sqlalchemy(app: Flask, database: DatabaseManager) -> None:
    """Give Flask-SQLAlchemy the database in use, also after each reconnect; one with a URL of its own is left alone."""
    theirs = app.config.get(FLASK_OPTIONS)
    ours = database.flask_config(app.config)
    app.config.update(ours)
    if ours:
        database.subscribe(lambda _engine: _follow(app, database, {FLASK_OPTIONS: theirs}))


def prepare_flask_sqlalchemy(app: Flask, database: DatabaseManager, command: str | None) -> None:
    """Give Flask-SQLAlchemy what DATABASE_URL names, unconnected, for a command that decides by itself.

    Our options are for the shell alone, where a person's changes are to meet foreign keys and deadlines as the
    application's do. A migration on SQLite must not: it makes tables anew, and with foreign keys on the rows that
    refer to the old one would be deleted with it.
    """
    ours = database.flask_config(app.config, connect=False)
    app.config.update(ours if command == "shell" or not ours else {FLASK_URL: ours[FLASK_URL]})


def _follow(app: Flask, database: DatabaseManager, theirs: Mapping[str, Any]) -> None:
    ours = database.flask_config(theirs)
    if app.config.get(FLASK_URL) == ours[FLASK_URL]:
        return  # the same database: its engine goes on
    app.config.update(ours)
    with app.app_context():
        engines = getattr(app.extensions.get("sqlalchemy"), "engines", {})
        earlier = engines.get(None)
        if earlier is not None:
            engines[None] = database.flask_engine(ours)
            earlier.dispose()
