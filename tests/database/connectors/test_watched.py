"""psycopg2's connection as ours: cut by its own socket only, and of no use in a child of a fork."""

import os
import socket
from contextlib import closing

import psycopg2
import pytest

from settings.database.connectors.watched import SocketLink, WatchedConnection
from settings.database.deadline import Watchdog
from tests.servers import PostgresServer


def _connect(server: PostgresServer) -> WatchedConnection:
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
        child = os.fork()
        if child == 0:
            refused = 0
            for attempt in (lambda: cursor.execute("SELECT 1"), connection.commit):
                try:
                    attempt()
                except psycopg2.OperationalError as error:
                    refused += "belongs to the process" in str(error)
            connection.rollback()
            connection.close()
            os._exit(0 if refused == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (0,)
