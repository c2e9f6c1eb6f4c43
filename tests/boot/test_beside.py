"""Flask-SQLAlchemy's configuration follows ours, whether or not the extension is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from settings.boot.beside import lead_flask_sqlalchemy, prepare_flask_sqlalchemy
from settings.database.manager import FLASK_OPTIONS as OPTIONS
from settings.database.manager import FLASK_URL as URL
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


@pytest.mark.parametrize(("command", "has_options"), [("shell", True), ("db", False)])
def test_command_that_decides_by_itself_is_prepared_without_a_connect(
    command: str, has_options: bool, database: DatabaseManager, tmp_path: Path
) -> None:
    """The URL is that of DATABASE_URL; foreign keys are on in a shell, and off for migrations."""
    app = Flask(__name__)
    prepare_flask_sqlalchemy(app, database, command)
    assert app.config[URL] == f"sqlite+pysqlite:///{tmp_path}/data/app.db"
    assert (OPTIONS in app.config) is has_options
    assert database.result.attempts == 0


def test_memory_database_of_a_shell_is_one_with_ours(tmp_path: Path) -> None:
    """What Flask-SQLAlchemy's engine makes there, ours sees; it is opened when it is used."""
    database = DatabaseManager(SmartConnectionManager(DatabaseSettings.model_validate({"url": "sqlite://"})))
    app = Flask(__name__)
    prepare_flask_sqlalchemy(app, database, "shell")
    assert database.result.attempts == 0
    engine = database.flask_engine(app.config)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER)")
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0
    engine.dispose()
    database.close()


def test_application_with_a_url_of_its_own_is_left_alone(database: DatabaseManager, tmp_path: Path) -> None:
    """Before a reconnect and after it."""
    app = Flask(__name__)
    app.config[URL] = "sqlite:///own.db"
    prepare_flask_sqlalchemy(app, database, "shell")
    lead_flask_sqlalchemy(app, database)
    (tmp_path / "data").unlink()
    assert database.reconnect().success
    assert app.config[URL] == "sqlite:///own.db"
    assert app.config.get(OPTIONS) is None
