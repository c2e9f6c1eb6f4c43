"""Statements are told with their seconds, failed or not, also after a reconnect."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.database.conftest import Open

Told = list[tuple[str, float, bool]]


def test_each_statement_is_told_once(open_database: Open, each_url: str) -> None:
    """Text, seconds, and whether it failed; before and after a reconnect."""
    database, told = open_database(url=each_url), Told()
    database.observe_statements(lambda *found: told.append(found))
    for _ in range(2):
        told.clear()
        with database.engine.connect() as connection:
            connection.execute(text("SELECT 40 + 2"))
            with pytest.raises(DBAPIError):
                connection.execute(text("SELECT * FROM nowhere"))
        mine = [(statement, failed) for statement, _, failed in told if not statement.startswith("BEGIN")]
        assert mine == [("SELECT 40 + 2", False), ("SELECT * FROM nowhere", True)]
        assert all(0 <= seconds < 10 for _, seconds, _ in told)
        assert database.reconnect().success


def test_observer_of_an_engine_in_use_is_told_too(open_database: Open) -> None:
    """It may come after the first connect."""
    database, told = open_database(url="sqlite://"), Told()
    engine = database.engine
    database.observe_statements(lambda *found: told.append(found))
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert ("SELECT 1", False) in [(statement, failed) for statement, _, failed in told]


def test_observer_that_fails_does_not_disturb(open_database: Open, caplog: pytest.LogCaptureFixture) -> None:
    """The statement succeeds, and the failure is in the log."""
    database = open_database(url="sqlite://")
    database.observe_statements(lambda *_found: 1 / 0)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert "ZeroDivisionError" in caplog.text


def test_failed_connect_is_no_statement(open_database: Open) -> None:
    """Nothing is told of what was never sent."""
    database, told = open_database(url="sqlite:////proc/no/app.db"), Told()
    database.observe_statements(lambda *found: told.append(found))
    assert database.ping(1).code == "sqlite-folder"
    assert told == []
