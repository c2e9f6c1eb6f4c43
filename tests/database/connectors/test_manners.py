"""The options of a connector make the same engine wherever they are handed to `create_engine`."""

import contextlib
import os

import pytest
from sqlalchemy import Engine, create_engine, text

from settings.database.connectors.manners import with_manners
from tests.database.conftest import Open


def test_function_gets_the_engine_and_the_option_is_taken() -> None:
    """Also when the same options make several engines."""
    adorned: list[Engine] = []
    options = with_manners({"echo": False}, adorned.append)
    engines = [create_engine("sqlite://", **options) for _ in range(2)]
    assert adorned == engines
    assert "twelvefactor" in options


@pytest.mark.parametrize("each_url", ["file", "postgresql"], indirect=True)
def test_engine_made_elsewhere_is_safe_across_a_fork(each_url: str, open_database: Open) -> None:
    """A warm engine of another's making connects anew in the child, and the parent's connection stays good."""
    options = open_database(url=each_url).flask_config()
    engine = create_engine(options["SQLALCHEMY_DATABASE_URI"], **options["SQLALCHEMY_ENGINE_OPTIONS"])
    _run(engine, "CREATE TABLE t (id INTEGER)")
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(Exception):
            _run(engine, "INSERT INTO t VALUES (1)")
            status = 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    _run(engine, "INSERT INTO t VALUES (2)")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT sum(id) FROM t")).scalar_one() == 3
    engine.dispose()


def _run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))
