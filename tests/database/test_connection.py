"""Connecting: the right driver, retries for what can pass, a first-attempt failure for what cannot, loud fallbacks."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Pool, event

from settings.database.config import DatabaseType
from settings.database.connection import ConnectionResult, SmartConnectionManager
from settings.database.model import DatabaseSettings
from tests.proxy import TcpProxy
from tests.servers import PostgresServer, free_port, wait_until

Make = Callable[..., SmartConnectionManager]


@pytest.fixture
def make() -> Iterator[Make]:
    """A maker of connection managers from settings given by keyword; all are disconnected at the end."""
    made: list[SmartConnectionManager] = []

    def manager(*, strict: bool = False, stop: threading.Event | None = None, **values: Any) -> SmartConnectionManager:
        settings = DatabaseSettings(**{"wait": 0, "fallback_url": None, **values})
        made.append(SmartConnectionManager(settings, app_name="tests", strict=strict, stop=stop, jitter=lambda: 0.999))
        return made[-1]

    yield manager
    for each in made:
        each.disconnect()


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A server that asks the role `app` (password `right`) for its password."""
    server = PostgresServer().start()
    server.query("CREATE ROLE app LOGIN PASSWORD 'right'")
    server.require_passwords()
    yield server
    server.close()


def _failed_at_once(result: ConnectionResult) -> str:
    assert not result.success
    assert result.engine is None
    assert result.attempts == 1
    assert result.diagnosis is not None
    assert not result.diagnosis.transient
    return result.diagnosis.code


def test_connector_follows_the_scheme(make: Make, postgres_url: str, tmp_path: Path) -> None:
    """PostgreSQL is spoken by psycopg2, SQLite by pysqlite, and the result says which."""
    server = make(url=postgres_url.replace("postgresql://", "postgres://")).connect()
    file = make(url=f"sqlite:///{tmp_path}/postgresql.db").connect()
    assert server.engine is not None
    assert file.engine is not None
    assert (server.database_type, server.engine.driver) == (DatabaseType.POSTGRESQL, "psycopg2")
    assert (file.database_type, file.engine.driver) == (DatabaseType.SQLITE, "pysqlite")
    assert server.connection_string == postgres_url.replace("postgresql://", "postgresql+psycopg2://")


@pytest.mark.parametrize(
    ("userinfo", "name", "code"),
    [
        ("app:wrong", "postgres", "database-authentication"),
        ("ghost:right", "postgres", "database-authentication"),
        ("app", "postgres", "database-password-missing"),
        ("app:right", "nowhere", "database-unknown"),
        ("postgres", "nowhere", "database-unknown"),
    ],
)
def test_what_cannot_pass_fails_at_the_first_attempt(
    userinfo: str, name: str, code: str, make: Make, guarded: PostgresServer
) -> None:
    """A wrong password, role or database is not tried again, however long DATABASE_WAIT is."""
    result = make(url=f"postgresql://{userinfo}@127.0.0.1:{guarded.port}/{name}", wait=30).connect()
    assert _failed_at_once(result) == code
    assert "wrong" not in result.error_message.replace("is wrong", "")


def test_option_that_the_server_refuses_fails_at_the_first_attempt(make: Make, postgres_url: str) -> None:
    """So does a parameter of options= that no server knows."""
    result = make(url=f"{postgres_url}?options=-c%20no_such_thing%3D1", wait=30).connect()
    assert _failed_at_once(result) == "database-parameter-invalid"


def test_server_that_comes_up_late_is_waited_for(make: Make, own_postgres: PostgresServer) -> None:
    """The boot becomes ready without a restart once the server is there."""
    own_postgres.kill()
    threading.Timer(0.5, own_postgres.start, kwargs={"wait": False}).start()
    result = make(url=own_postgres.url(), wait=30).connect()
    assert result.success
    assert result.attempts > 1
    assert not result.error_message


def test_waiting_ends_with_database_wait(make: Make) -> None:
    """What stays refused is tried again after 0.1 s, 0.2 s and so on, until the next pause would go beyond the wait."""
    begin = time.monotonic()
    result = make(url=f"postgresql://app@127.0.0.1:{free_port()}/app", wait=2).connect()
    spent, next_pause = time.monotonic() - begin, 0.1 * 2 ** (result.attempts - 1)
    assert result.attempts > 1
    assert 0.99 * (next_pause - 0.1) <= spent < 5
    assert spent + next_pause >= 2
    assert result.diagnosis is not None
    assert result.diagnosis.code == "database-refused"


def test_stop_ends_the_waiting(make: Make) -> None:
    """A process that is told to end does not sleep on, and does not fall back either."""
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begin = time.monotonic()
    result = make(
        url=f"postgresql://app@127.0.0.1:{free_port()}/app", wait=60, stop=stop, fallback_url="sqlite://"
    ).connect()
    assert time.monotonic() - begin < 30
    assert result.diagnosis is not None
    assert result.diagnosis.code == "database-connect-stopped"


def test_server_that_never_answers_is_left_at_the_connect_time_out(make: Make, proxy: TcpProxy) -> None:
    """DATABASE_CONNECT_TIMEOUT bounds an attempt on a host that accepts and stays silent."""
    proxy.mode = "hang"
    result = make(url=f"postgresql://app@127.0.0.1:{proxy.port}/app", connect_timeout=1).connect()
    assert result.diagnosis is not None
    assert result.diagnosis.code == "database-timeout"


def test_server_that_freezes_after_the_login_does_not_hang_the_boot(
    make: Make, postgres: PostgresServer, proxy: TcpProxy
) -> None:
    """Also without DATABASE_TIMEOUT the first questions of a connect end."""
    proxy.target = postgres.port
    manager = make(url=f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres", connect_timeout=0.2)
    event.listen(Pool, "connect", freeze := lambda *_: proxy.freeze())
    try:
        result = manager.connect()
    finally:
        event.remove(Pool, "connect", freeze)
    assert result.diagnosis is not None
    assert result.diagnosis.code == "database-deadline"


def test_blackhole_is_left_at_the_connect_time_out(make: Make) -> None:
    """A host that drops what is sent, as a listener with a full backlog does, is a time-out."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        for each in held:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        result = make(url=f"postgresql://app@127.0.0.1:{port}/app", connect_timeout=1).connect()
        for each in held:
            each.close()
    assert result.diagnosis is not None
    assert result.diagnosis.code == "database-timeout"


def test_no_fallback_no_file(make: Make, working_directory: Path) -> None:
    """Where DATABASE_FALLBACK_URL is not set an unreachable database is an error, and no file appears."""
    result = make(url=f"postgresql://app@127.0.0.1:{free_port()}/app").connect()
    assert not result.success
    assert not result.fallback_used
    assert not list(working_directory.iterdir())


def test_fallback_is_loud(make: Make, working_directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The result and one warning say what failed and what is used, without the password."""
    url = f"postgresql://app:hidden@127.0.0.1:{free_port()}/app"
    result = make(url=url, fallback_url="sqlite:///fallback.db").connect()
    assert result.success
    assert result.fallback_used
    assert result.connection_string == f"sqlite+pysqlite:///{working_directory}/fallback.db"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "DATABASE_URL (postgresql://app:***@" in record.getMessage()
    assert "DATABASE_FALLBACK_URL (sqlite" in record.getMessage()
    assert "hidden" not in record.getMessage() + repr(result)


def test_unusable_fallback_is_reported_beside_the_first_fault(make: Make, tmp_path: Path) -> None:
    """Both causes are in the message, and the engine is not there."""
    (tmp_path / "folder").mkdir()
    url = f"postgresql://app@127.0.0.1:{free_port()}/app"
    result = make(url=url, fallback_url=f"sqlite:///{tmp_path}/folder").connect()
    assert not result.success
    assert "nothing listens" in result.error_message
    assert "DATABASE_FALLBACK_URL" in result.error_message
    assert "folder" in result.error_message
    assert result.diagnosis is not None
    assert f"and DATABASE_FALLBACK_URL (sqlite:///{tmp_path}/folder) cannot be used either" in result.diagnosis.cause
    assert "for the fallback: " in result.diagnosis.fix


def test_url_that_is_not_set_falls_back_only_where_not_strict(make: Make) -> None:
    """An invalid or missing DATABASE_URL stops a strict boot even where a fallback is set."""
    assert make(url=None, fallback_url="sqlite://").connect().fallback_used
    strict = make(url=None, fallback_url="sqlite://", strict=True).connect()
    assert not strict.success
    assert strict.attempts == 0
    assert strict.diagnosis is not None
    assert strict.diagnosis.code == "database-not-configured"


def test_unreachable_database_falls_back_when_strict_and_set(make: Make) -> None:
    """A fallback that production sets on purpose is used."""
    url = f"postgresql://app@127.0.0.1:{free_port()}/app"
    assert make(url=url, fallback_url="sqlite://", strict=True).connect().fallback_used


def test_failed_reconnect_keeps_what_is_in_use(make: Make, own_postgres: PostgresServer) -> None:
    """An engine that was good stays; the answer says what failed."""
    manager = make(url=own_postgres.url())
    earlier = manager.connect().engine
    own_postgres.kill()
    assert not manager.reconnect().success
    assert manager.result.engine is earlier
    own_postgres.start()
    again = manager.reconnect()
    assert again.success
    assert manager.result is again
    assert again.engine is not earlier


def test_reconnect_keeps_a_memory_database(make: Make) -> None:
    """What is in it would be lost with a new one."""
    manager = make(url="sqlite://")
    earlier = manager.connect()
    assert manager.reconnect() is earlier


def test_disconnect_returns_every_connection(make: Make, postgres: PostgresServer, postgres_url: str) -> None:
    """After it the server has none of ours, and it may be called again, or before a connect."""
    manager = make(url=postgres_url)
    manager.disconnect()
    manager.connect()
    name = postgres_url.rpartition("/")[2]
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    assert postgres.query(count) == [(1,)]
    manager.disconnect()
    wait_until(lambda: postgres.query(count) == [(0,)])
    manager.disconnect()
