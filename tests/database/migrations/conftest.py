"""What the tests of the schema share: an engine of each kind, made as the service makes it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine


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
