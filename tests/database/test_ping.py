"""A ping asks once, looks at the file, and disturbs nobody."""

from pathlib import Path

import pytest
from sqlalchemy import event, text

from settings.database.ping import ask, driver_connection
from settings.probe import HealthStatus
from settings.problems import BootstrapError
from tests.database.conftest import Open


@pytest.mark.parametrize("beside", ["app.db", "app.db-wal"])
def test_file_deleted_while_open_is_unhealthy(beside: str, open_database: Open, tmp_path: Path) -> None:
    """In WAL mode SQLite writes on into a file that is gone: the ping is what sees it."""
    database = open_database(url=f"sqlite:///{tmp_path}/app.db")
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    assert database.ping(5).status is HealthStatus.HEALTHY
    (tmp_path / beside).rename(tmp_path / "elsewhere")
    reading = database.ping(5)
    if beside == "app.db":
        assert (reading.status, reading.code) == (HealthStatus.UNHEALTHY, "sqlite-file-gone")
    (tmp_path / "elsewhere").rename(tmp_path / beside)
    assert database.ping(5).status is HealthStatus.HEALTHY


def test_ask_of_a_gone_file_raises(open_database: Open, tmp_path: Path) -> None:
    """The fault comes with its diagnosis."""
    engine = open_database(url=f"sqlite:///{tmp_path}/app.db").engine
    (tmp_path / "app.db").unlink()
    with pytest.raises(BootstrapError, match="deleted or moved"):
        ask(engine, places=15, timeout=None)


def test_ping_of_a_memory_database_leaves_an_open_transaction_alone(open_database: Open) -> None:
    """The one connection is not rolled back by being asked."""
    database = open_database(url="sqlite://")
    with database.engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
        assert database.ping(1).status is HealthStatus.HEALTHY
        assert driver_connection(database.engine).in_transaction
        connection.commit()
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0


def test_ping_is_one_question(open_database: Open, postgres_url: str) -> None:
    """A warm PostgreSQL connection is asked by the pre-ping of its checkout, and by no statement besides."""
    database = open_database(url=postgres_url)
    assert database.ping(5).status is HealthStatus.HEALTHY
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *found: statements.append(found[2]))
    assert database.ping(5).status is HealthStatus.HEALTHY
    assert statements == []
