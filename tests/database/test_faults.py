"""Faults of a real server that a service lives through: killed, frozen, restarted, full, moved."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database.diagnosis import diagnose_database
from settings.database.manager import DatabaseManager
from settings.probe import HealthStatus
from tests.database.conftest import Open
from tests.proxy import TcpProxy
from tests.servers import PostgresServer, wait_until

PASSING = {"database-recovering", "database-connection-lost", "database-starting-up", "database-refused"}


def _scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def _fails_with(engine: Engine, statement: str = "SELECT 1") -> str:
    with pytest.raises(DBAPIError) as caught:
        _scalar(engine, statement)
    return diagnose_database(caught.value).code


@pytest.fixture(scope="module")
def _server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def own_postgres(_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that each test of this file may harm: it is killed after each and started for the next."""
    yield _server.start()
    _server.kill()


@pytest.fixture
def database(own_postgres: PostgresServer, open_database: Open) -> Iterator[DatabaseManager]:
    """A database with a table on a server of the test's own, under a deadline of half a second."""
    database = open_database(url=own_postgres.new_database(), timeout=0.5, connect_timeout=2)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id integer)"))
    yield database
    own_postgres.thaw()


def test_killed_server_tears_no_transaction(database: DatabaseManager, own_postgres: PostgresServer) -> None:
    """Killed with -9 in mid-transaction and restarted: the next request succeeds, and nothing is half there."""
    session = database.session()
    session.execute(text("INSERT INTO t VALUES (1)"))
    own_postgres.kill()
    own_postgres.start()
    with pytest.raises(DBAPIError) as caught:
        session.execute(text("INSERT INTO t VALUES (2)"))
    assert diagnose_database(caught.value).code == "database-connection-lost"
    database.remove_session()
    with database.session() as session:
        assert session.scalar(text("SELECT count(*) FROM t")) == 0
        session.execute(text("INSERT INTO t VALUES (3)"))
    assert _scalar(database.engine, "SELECT sum(id) FROM t") == 3


def test_restarted_server_is_not_noticed_by_the_next_request(
    database: DatabaseManager, own_postgres: PostgresServer
) -> None:
    """The pre-ping replaces connections that died in the pool."""
    with database.engine.connect(), database.engine.connect():
        pass
    own_postgres.restart()
    assert _scalar(database.engine, "SELECT 1") == 1
    with database.engine.connect() as first, database.engine.connect() as second:
        assert first.execute(text("SELECT 1")).scalar_one() == second.execute(text("SELECT 1")).scalar_one() == 1


def test_frozen_server_fails_a_request_within_the_deadline_and_recovers(
    database: DatabaseManager, own_postgres: PostgresServer
) -> None:
    """Stopped by SIGSTOP: a request on a warm connection fails within DATABASE_TIMEOUT, and the next ones succeed."""
    with own_postgres.frozen():
        begin = time.monotonic()
        assert _fails_with(database.engine) == "database-deadline"
        assert time.monotonic() - begin < 2
    wait_until(lambda: database.ping(2).status is HealthStatus.HEALTHY)
    assert _scalar(database.engine, "SELECT 1") == 1


@pytest.mark.full
def test_server_frozen_for_ten_seconds(database: DatabaseManager, own_postgres: PostgresServer) -> None:
    """For ten seconds every request fails by its bounds, and after them requests succeed at once."""
    until, longest = time.monotonic() + 10, 0.0
    with own_postgres.frozen():
        while time.monotonic() < until:
            begin = time.monotonic()
            assert _fails_with(database.engine) in {"database-deadline", "database-timeout"}
            longest = max(longest, time.monotonic() - begin)
    assert longest < 4
    assert _scalar(database.engine, "SELECT 1") == 1


def test_ping_of_a_frozen_server_ends_in_time(own_postgres: PostgresServer, open_database: Open) -> None:
    """Also without DATABASE_TIMEOUT: the ping has its own."""
    database = open_database(url=own_postgres.url())
    assert database.ping(1).status is HealthStatus.HEALTHY
    with own_postgres.frozen():
        begin = time.monotonic()
        reading = database.ping(0.3)
        assert time.monotonic() - begin < 2
    assert (reading.status, reading.code) == (HealthStatus.UNHEALTHY, "database-deadline")
    wait_until(lambda: database.ping(2).status is HealthStatus.HEALTHY)


def test_terminated_connections_are_replaced(database: DatabaseManager, own_postgres: PostgresServer) -> None:
    """The server ends all sessions: one in use fails with its diagnosis, the next request succeeds."""
    with database.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        own_postgres.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
    assert caught.value.connection_invalidated
    assert diagnose_database(caught.value).code == "database-connection-lost"
    assert _scalar(database.engine, "SELECT 1") == 1


def test_idle_transaction_that_the_server_ended(database: DatabaseManager, own_postgres: PostgresServer) -> None:
    """The session is gone: the transaction fails with its diagnosis, the next request succeeds."""
    with database.engine.connect() as connection:
        connection.execute(text("SET idle_in_transaction_session_timeout = 50"))
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        wait_until(lambda: own_postgres.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid) == [])
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
    assert diagnose_database(caught.value).code == "database-connection-lost"
    assert _scalar(database.engine, "SELECT 1") == 1


def test_crash_of_one_backend_is_over_when_the_server_has_recovered(
    database: DatabaseManager, own_postgres: PostgresServer
) -> None:
    """All sessions die with it; until the server is back every fault is one that can pass by itself."""
    with database.engine.connect() as bystander:
        bystander.execute(text("INSERT INTO t VALUES (1)"))
        with database.engine.connect() as victim:
            os.kill(int(victim.execute(text("SELECT pg_backend_pid()")).scalar_one()), signal.SIGKILL)
            with pytest.raises(DBAPIError):
                victim.execute(text("SELECT 1"))
        wait_until(lambda: _is_lost(bystander))
    codes: list[str] = []

    def is_well() -> bool:
        codes.append(database.ping(2).code)
        return not codes[-1]

    wait_until(is_well)
    assert set(codes[:-1]) <= PASSING
    assert _scalar(database.engine, "SELECT count(*) FROM t") == 0


def _is_lost(connection: Connection) -> bool:
    try:
        connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        return diagnose_database(error).code == "database-connection-lost"
    return False


def test_full_server_is_diagnosed_and_left_when_there_is_room(
    own_postgres: PostgresServer, open_database: Open
) -> None:
    """`max_connections` reached: a transient fault with its own code; once others have gone it works."""
    own_postgres.restart("-c", "max_connections=5", "-c", "superuser_reserved_connections=0")
    database = open_database(url=own_postgres.url())
    with contextlib.ExitStack() as held:
        wait_until(lambda: _filled(own_postgres, held))
        result = database.reconnect()
        assert result.diagnosis is not None
        assert (result.diagnosis.code, result.diagnosis.transient) == ("database-too-many-connections", True)
    wait_until(lambda: database.ping(2).status is HealthStatus.HEALTHY)


def _filled(server: PostgresServer, held: contextlib.ExitStack) -> bool:
    import psycopg2

    try:
        held.enter_context(contextlib.closing(server.connect()))
    except psycopg2.OperationalError:
        return True
    return False


def test_failover_to_another_server_behind_one_address(
    own_postgres: PostgresServer, open_database: Open, postgres_url: str, postgres: PostgresServer, proxy: TcpProxy
) -> None:
    """The address leads to another server all at once: the next request is served there."""
    name = postgres_url.rpartition("/")[2]
    own_postgres.query(f"CREATE DATABASE {name}")
    proxy.target = own_postgres.port
    database = open_database(url=f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}", timeout=2)
    assert _scalar(database.engine, "SHOW port") == str(own_postgres.port)
    proxy.target = postgres.port
    own_postgres.kill()
    assert _scalar(database.engine, "SHOW port") == str(postgres.port)


def test_failover_while_a_transaction_is_open(
    own_postgres: PostgresServer, open_database: Open, postgres: PostgresServer, proxy: TcpProxy
) -> None:
    """What was not committed is lost aloud, not silently repeated on the other server."""
    proxy.target = own_postgres.port
    database = open_database(url=f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres", timeout=2)
    with database.engine.connect() as connection:
        connection.execute(text("CREATE TABLE torn (id integer)"))
        proxy.target = postgres.port
        own_postgres.kill()
        with pytest.raises(DBAPIError) as caught:
            connection.commit()
    assert diagnose_database(caught.value).code == "database-connection-lost"
    assert _scalar(database.engine, "SELECT to_regclass('torn')::text IS NULL") is True


def test_exhausted_pool_is_said_and_a_ping_waits_no_longer_than_told(open_database: Open, postgres_url: str) -> None:
    """All places taken: a ping is unhealthy by its own time-out, not by DATABASE_POOL_TIMEOUT."""
    database = open_database(url=postgres_url, pool_size=1, max_overflow=0, pool_timeout=60)
    with database.engine.connect():
        begin = time.monotonic()
        reading = database.ping(0.1)
        assert time.monotonic() - begin < 10
        assert reading.code == "database-pool-exhausted"
        assert database.pool_figures()["pool_in_use"] == 1
    assert database.ping(5).status is HealthStatus.HEALTHY
