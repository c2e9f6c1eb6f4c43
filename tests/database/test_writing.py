"""How our own tables are written: writers wait for each other, whatever the server's default is."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from settings.database.writing import single_statement


def test_who_waits_for_another_sees_what_it_wrote(engine: Engine) -> None:
    """PostgreSQL: READ COMMITTED, also where SERIALIZABLE is the rule; SQLite: the write lock is taken at once."""
    if engine.dialect.name == "postgresql":
        _let_serializable_be_the_rule(engine)
    with single_statement(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
            return
        other = engine.connect().execution_options(sqlite_begin="IMMEDIATE")
        other.connection.cursor().execute("PRAGMA busy_timeout = 0")
        with pytest.raises(OperationalError, match="locked"):
            other.begin()
        other.close()


def _let_serializable_be_the_rule(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(f'ALTER DATABASE "{engine.url.database}" SET default_transaction_isolation = serializable')
        )
    engine.dispose()
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "serializable"
