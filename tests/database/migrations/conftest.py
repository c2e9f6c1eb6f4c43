"""What the tests of the schema share: an engine of each kind, made as the service makes it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from settings.database.migrations import MigrationManager
from settings.database.tables import performance_alerts
from tests.database.migrations.by_hand import ALERT


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/app.db"


@pytest.fixture
def engine(url: str, open_database: Callable[..., Any]) -> Engine:
    """An engine of the service's own making on that database."""
    made: Engine = open_database(url=url).engine
    return made


@pytest.fixture
def migrated(engine: Engine) -> Engine:
    """A database with the schema and one alert."""
    MigrationManager(engine).ensure_tables_exist()
    with engine.begin() as connection:
        connection.execute(performance_alerts.insert().values(ALERT))
    return engine
