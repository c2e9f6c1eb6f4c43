"""psycopg2's connection as ours: cut by its own socket only, and of no use in a child of a fork."""

import io
import os
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import lobject
from psycopg2.extras import DictCursor

from settings.database.connectors.watched import DeadlineExceededError, SocketLink, WatchedConnection
from settings.database.deadline import Watchdog
from tests.proxy import TcpProxy
from tests.servers import PostgresServer


def _connect(server: PostgresServer | TcpProxy) -> WatchedConnection:
    dsn = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"
    return WatchedConnection(dsn, Watchdog())


def test_cut_wakes_a_reader_and_leaves_other_sockets_alone() -> None:
    """A blocked read ends; a socket that took over the number of the closed descriptor lives on."""
    near, far = socket.socketpair()
    link = SocketLink(near.fileno())
    link.cut()
    assert far.recv(1) == b""
    number = near.fileno()
    near.close()
    first, second = socket.socketpair()
    assert number in {first.fileno(), second.fileno()}
    link.cut()
    first.send(b"x")
    assert second.recv(1) == b"x"
    for each in (far, first, second):
        each.close()


def test_deadline_of_a_block_bounds_statements(postgres: PostgresServer) -> None:
    """`within` cuts a long statement, and the connection is closed then."""
    with closing(_connect(postgres)) as connection:
        with connection.watchdog.within(0.1), connection.cursor() as cursor, pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT pg_sleep(10)")
        assert connection.closed


@pytest.mark.parametrize(
    "speak",
    [
        lambda connection, _rows: connection.cursor().callproc("now"),
        lambda connection, _rows: connection.cursor().copy_to(io.StringIO(), "pg_class"),
        lambda connection, _rows: connection.cursor().copy_from(io.StringIO("1"), "pg_class", sep=";"),
        lambda connection, _rows: connection.cursor(cursor_factory=DictCursor).execute("SELECT 1"),
        lambda _connection, rows: list(rows),
        lambda _connection, rows: rows.scroll(500),
        lambda connection, _rows: connection.tpc_prepare(),
        lambda connection, _rows: connection.lobject(0, "wb"),
    ],
)
def test_whatever_speaks_to_a_silent_server_ends_by_the_deadline(
    speak: Callable[[WatchedConnection, Any], object], postgres: PostgresServer, proxy: TcpProxy
) -> None:
    """Also what SQLAlchemy seldom calls or never: applications have the driver's connection, too."""
    proxy.target = postgres.port
    with closing(_connect(proxy)) as connection:
        connection.tpc_begin(connection.xid(1, "a", "b"))
        rows = connection.cursor("rows")
        rows.itersize = 10
        rows.execute("SELECT generate_series(1, 1000)")
        proxy.freeze()
        with connection.watchdog.within(0.05), pytest.raises(DeadlineExceededError):
            speak(connection, rows)
        assert connection.closed
    proxy.thaw()


@pytest.mark.parametrize(
    "ask",
    [
        lambda large: large.read(),
        lambda large: large.write(b"x"),
        lambda large: large.seek(1),
        lambda large: large.tell(),
        lambda large: large.truncate(),
        lambda large: large.unlink(),
        lambda large: large.export("/dev/null"),
        lambda large: large.close(),
    ],
)
def test_large_object_of_a_silent_server_ends_by_the_deadline(
    ask: Callable[[Any], object], postgres: PostgresServer, proxy: TcpProxy
) -> None:
    """It talks to the server beside all cursors."""
    proxy.target = postgres.port
    with closing(_connect(proxy)) as connection:
        large = connection.lobject(0, "rwb")
        proxy.freeze()
        with connection.watchdog.within(0.05), pytest.raises(DeadlineExceededError):
            ask(large)
        assert connection.closed
    proxy.thaw()


def test_large_object_is_as_psycopg2s(postgres: PostgresServer) -> None:
    """Read, written and removed within the deadline; another kind is made where it is asked for."""
    with closing(_connect(postgres)) as connection, connection.watchdog.within(30):
        large = connection.lobject(0, "rwb")
        assert (large.write(b"12345"), large.seek(1), large.tell()) == (5, 1, 1)
        large.truncate(4)
        assert (large.read(2), large.read()) == (b"23", b"4")
        assert type(connection.lobject(large.oid, "rb", 0, None, lobject)) is lobject
        large.unlink()
        assert large.closed


def test_cursor_takes_all_of_psycopg2s_arguments_by_place(postgres: PostgresServer) -> None:
    """Name, kind, scrollable, withhold."""
    with closing(_connect(postgres)) as connection:
        rows = connection.cursor("rows", None, True, True)
        assert (rows.scrollable, rows.withhold) == (True, True)


def test_every_kind_of_cursor_stays_what_it_is(postgres: PostgresServer) -> None:
    """A kind of psycopg2's extras gives its own rows, from the server's side too."""
    with closing(_connect(postgres)) as connection, connection.watchdog.within(30):
        for name in (None, "rows"):
            cursor = connection.cursor(name, DictCursor)
            assert isinstance(cursor, DictCursor)
            cursor.execute("SELECT generate_series(1, 3) AS n")
            assert [row["n"] for row in cursor] == [1, 2, 3]
        assert type(connection.cursor(cursor_factory=DictCursor)) is type(connection.cursor(None, DictCursor))
        assert connection.cursor().callproc("abs", [-1]) == [-1]


def test_errors_of_the_server_stay_as_they_are_under_a_deadline(postgres: PostgresServer) -> None:
    """A statement that fails in time fails with the server's own words, and the connection goes on."""
    with closing(_connect(postgres)) as connection, connection.watchdog.within(30), connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute("SELECT * FROM nowhere")
        connection.rollback()
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_child_of_a_fork_can_neither_use_nor_end_the_connection(postgres: PostgresServer) -> None:
    """What the parent has not committed yet outlives the child and everything the child tries."""
    with closing(_connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE t (id integer)")
        other = connection.cursor(cursor_factory=DictCursor)
        attempts: list[Callable[[], object]] = [
            lambda: cursor.execute("SELECT 1"),
            lambda: cursor.copy_to(io.StringIO(), "t"),
            lambda: other.execute("SELECT 1"),
            connection.reset,
            lambda: connection.set_session(readonly=True),
            lambda: connection.set_client_encoding("LATIN1"),
            lambda: connection.tpc_commit("a"),
            lambda: connection.tpc_rollback("a"),
            connection.commit,
        ]
        child = os.fork()
        if child == 0:
            refused = 0
            for attempt in attempts:
                try:
                    attempt()
                except psycopg2.OperationalError as error:
                    refused += "belongs to the process" in str(error)
            connection.rollback()
            connection.close()
            os._exit(0 if refused == len(attempts) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (0,)
