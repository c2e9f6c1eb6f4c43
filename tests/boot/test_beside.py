"""Flask-SQLAlchemy's configuration follows ours, whether or not the extension is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from settings.boot.beside import OPTIONS, URL, lead_flask_sqlalchemy
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.model import DatabaseSettings


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DatabaseManager]:
    """A database on its fallback, since a file is in the way of its folder."""
    (tmp_path / "data").write_text("in the way")
    settings = DatabaseSettings.model_validate(
        {"url": f"sqlite:///{tmp_path}/data/app.db", "fallback_url": f"sqlite:///{tmp_path}/fallback.db", "wait": 0}
    )
    made = DatabaseManager(SmartConnectionManager(settings))
    yield made
    made.close()


def test_configuration_follows_a_reconnect(database: DatabaseManager, tmp_path: Path) -> None:
    """Who reads it after the reconnect gets the new URL, and keeps the options of the application."""
    app = Flask(__name__)
    app.config[OPTIONS] = {"logging_name": "theirs"}
    lead_flask_sqlalchemy(app, database)
    assert app.config[URL] == f"sqlite+pysqlite:///{tmp_path}/fallback.db"
    (tmp_path / "data").unlink()
    assert database.reconnect().success
    assert app.config[URL] == f"sqlite+pysqlite:///{tmp_path}/data/app.db"
    assert app.config[OPTIONS] == {"logging_name": "theirs"}


def test_application_with_a_url_of_its_own_is_left_alone(database: DatabaseManager, tmp_path: Path) -> None:
    """Before a reconnect and after it."""
    app = Flask(__name__)
    app.config[URL] = "sqlite:///own.db"
    lead_flask_sqlalchemy(app, database)
    (tmp_path / "data").unlink()
    assert database.reconnect().success
    assert app.config[URL] == "sqlite:///own.db"
    assert app.config.get(OPTIONS) is None
