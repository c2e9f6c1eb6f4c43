"""What the tests of the database share: settings by keyword, and managers that are closed afterwards."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.migrations import MigrationManager
from settings.database.model import DatabaseSettings
from tests.proxy import TcpProxy

Open = Callable[..., DatabaseManager]


@pytest.fixture
def open_database() -> Iterator[Open]:
    """A maker of managers from settings given by keyword (`url=…, wait=0`); all are closed at the end."""
    opened: list[DatabaseManager] = []

    def make(*, strict: bool = False, **values: Any) -> DatabaseManager:
        settings = DatabaseSettings(**{"wait": 0, "fallback_url": None, **values})
        opened.append(DatabaseManager(SmartConnectionManager(settings, app_name="tests", strict=strict)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, open_database: Callable[..., Any]) -> Engine:
    """An engine on a database with the schema, of each kind."""
    kind = "postgres_url" if request.param == "postgresql" else "tmp_path"
    place = request.getfixturevalue(kind)
    made: Engine = open_database(url=place if request.param == "postgresql" else f"sqlite:///{place}/app.db").engine
    assert MigrationManager(made).ensure_tables_exist().status == "ok"
    return made


class PatientProxy(TcpProxy):
    """A proxy whose connections may be cut while it waits on them."""

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(ValueError):  # select meets a socket that `cut` has closed
            super()._serve(connection)


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    """A TCP proxy; the test sets its `target` and `mode`."""
    with PatientProxy() as made:
        yield made


@pytest.fixture(params=["file", "memory", "postgresql"])
def each_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    if request.param == "memory":
        return "sqlite:///:memory:"
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/app.db"
