"""PostgreSQL engines: what the server sees of our options, the user's options, deadlines, and a transaction pooler."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database import DatabaseURLParser
from settings.database.connectors import PostgreSQLConnector
from settings.database.diagnosis import diagnose_database
from settings.database.model import DatabaseSettings
from tests.proxy import TcpProxy
from tests.servers import PostgresServer, free_port

Make = Callable[..., Engine]


@pytest.fixture
def make() -> Iterator[Make]:
    """A maker of engines from a URL and settings."""
    made: list[Engine] = []

    def engine(url: str, *, app_name: str = "tests", **values: Any) -> Engine:
        config = DatabaseURLParser.parse_url(url)
        assert config.is_valid, config.error_message
        made.append(PostgreSQLConnector(DatabaseSettings(**values), app_name=app_name).engine(config))
        return made[-1]

    yield engine
    for each in made:
        each.dispose()


def _shown(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _code(error: DBAPIError) -> str:
    return diagnose_database(error).code


def test_server_sees_the_name_cut_to_63_bytes(make: Make, postgres_url: str) -> None:
    """A long name with wide characters is cut where a character ends."""
    assert _shown(make(postgres_url, app_name="ä" * 40), "application_name").count("?") == 0
    assert _shown(make(postgres_url, app_name="a" * 100), "application_name") == "a" * 63


def test_options_of_the_url_win(make: Make, postgres_url: str) -> None:
    """The user's name, connect time-out and keepalives stay; the rest is ours."""
    url = f"{postgres_url}?application_name=mine&connect_timeout=3&keepalives_idle=7"
    engine = make(url, statement_timeout=5)
    with engine.connect() as connection:
        parameters = _driver(connection).info.dsn_parameters
    found = {name: parameters.get(name) for name in ("application_name", "connect_timeout", "keepalives_idle")}
    assert found == {"application_name": "mine", "connect_timeout": "3", "keepalives_idle": "7"}
    assert (parameters["keepalives"], parameters["keepalives_interval"]) == ("1", "10")


def test_no_repr_shows_a_secret_option(make: Make, postgres_url: str) -> None:
    """SQLAlchemy masks the password alone: the engine's URL holds no other secret, and the driver gets them still."""
    engine = make(f"{postgres_url}?sslpassword=hushhush&sslmode=prefer")
    with engine.connect() as connection:
        given = _driver(connection).info.dsn_parameters
    assert given["sslmode"] == "prefer"
    assert given["sslpassword"] == "hushhush"
    assert "hushhush" not in f"{engine!r} {engine.url!r} {engine.pool!r} {engine.url.render_as_string(False)}"


def test_statement_timeout_is_local_to_each_transaction(make: Make, postgres_url: str) -> None:
    """It ends a slow statement, and nothing of it stays with the session, as a transaction pooler needs it."""
    engine = make(postgres_url, statement_timeout=0.1)
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT pg_sleep(5)"))
    assert _code(caught.value) == "database-statement-cancelled"
    assert _shown(engine, "statement_timeout") == "100ms"
    with engine.connect() as connection, _driver(connection).cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_statement_timeout_counts_in_a_two_phase_transaction(make: Make, postgres_url: str) -> None:
    """Two-phase transactions begin by an event and a call of their own."""
    engine = make(postgres_url, statement_timeout=0.1)
    for _ in range(2):
        with engine.connect() as connection:
            connection.begin_twophase()
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "100ms"
    assert _shown(make(postgres_url), "statement_timeout") == "0"


def test_statement_timeout_of_the_url_wins(make: Make, postgres_url: str) -> None:
    """`options=-c statement_timeout=…` is what the user said."""
    engine = make(f"{postgres_url}?options=-c%20statement_timeout%3D7000", statement_timeout=0.1)
    assert _shown(engine, "statement_timeout") == "7s"


def test_autocommit_gets_no_local_setting(make: Make, postgres_url: str) -> None:
    """Outside of a transaction SET LOCAL would only be a warning of the server."""
    engine = make(postgres_url, statement_timeout=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "0"
        assert not _driver(connection).notices


def test_parameters_are_not_in_errors(make: Make, postgres_url: str) -> None:
    """Values of a statement may be personal: SQLAlchemy's error does not show them."""
    with make(postgres_url).connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT 1 / 0 WHERE :a <> ''"), {"a": "personal"})
    assert "personal" not in str(caught.value)


@pytest.mark.parametrize("how", ["execute", "commit", "pre-ping", "server-side cursor"])
def test_silent_server_is_left_at_the_deadline(how: str, make: Make, postgres: PostgresServer, proxy: TcpProxy) -> None:
    """Whatever waits on a frozen connection fails by DATABASE_TIMEOUT with the deadline's diagnosis."""
    proxy.target = postgres.port
    engine = make(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres", timeout=0.3)
    work = _started(engine, how)
    proxy.freeze()
    begin = time.monotonic()
    with pytest.raises(DBAPIError) as caught:
        work()
    assert 0.25 < time.monotonic() - begin < 3
    assert _code(caught.value) == "database-deadline"
    proxy.thaw()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def _started(engine: Engine, how: str) -> Callable[[], object]:
    connection = engine.connect()
    connection.execute(text("SELECT 1"))
    if how == "commit":
        return connection.commit
    if how == "execute":
        return lambda: connection.execute(text("SELECT 1"))
    if how == "server-side cursor":
        rows = connection.execution_options(stream_results=True, max_row_buffer=1)
        result = rows.execute(text("SELECT generate_series(1, 100000)"))
        return result.all
    connection.close()
    return engine.connect


def test_statement_within_the_deadline_is_left_alone(make: Make, postgres_url: str) -> None:
    """A deadline that does not pass changes nothing, statement after statement."""
    engine = make(postgres_url, timeout=2)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id integer)"))
        connection.execute(text("INSERT INTO t VALUES (:id)"), [{"id": n} for n in range(100)])
    with engine.connect() as connection:
        rows = connection.execution_options(yield_per=7).execute(text("SELECT id FROM t"))
        assert sum(row.id for row in rows) == 4950


def test_several_hosts_are_tried_in_turn(make: Make, postgres: PostgresServer) -> None:
    """Libpq's list of hosts: the first that takes the connection serves it."""
    url = f"postgresql://postgres@127.0.0.1:{free_port()},127.0.0.1:{postgres.port}/postgres"
    assert _shown(make(url), "port") == str(postgres.port)


def test_socket_directory_serves_as_host(make: Make, postgres: PostgresServer) -> None:
    """A host that is a folder stands behind the question mark."""
    engine = make(f"postgresql://postgres@:{postgres.port}/postgres?host={postgres.folder}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT inet_server_addr()")).scalar_one() is None
