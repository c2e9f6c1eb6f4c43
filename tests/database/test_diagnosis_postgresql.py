"""Every fault of PostgreSQL, made on a real server or said to a real libpq, has its cause and fix."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database import DatabaseURLParser
from settings.database.connectors import PostgreSQLConnector
from settings.database.diagnosis import CODES, diagnose_database
from settings.database.diagnosis_postgresql import by_text, rows
from settings.database.model import DatabaseSettings
from settings.problems import Diagnosis
from tests.proxy import Mode, TcpProxy
from tests.servers import PostgresServer, free_port

Diagnose = Callable[[str], Diagnosis]


def _engine(url: str) -> Engine:
    config = DatabaseURLParser.parse_url(url)
    assert config.is_valid, config.error_message
    return PostgreSQLConnector(DatabaseSettings(connect_timeout=1), app_name="tests").engine(config)


def _refusal(url: str) -> Diagnosis:
    engine = _engine(url)
    with pytest.raises(DBAPIError) as caught:
        engine.connect()
    engine.dispose()
    return diagnose_database(caught.value)


@contextlib.contextmanager
def _server_that_says(state: str, message: str) -> Iterator[int]:
    """Listen as a PostgreSQL that refuses every session with one message; yields the port."""
    fields = b"SFATAL\0VFATAL\0C" + state.encode() + b"\0M" + message.encode() + b"\0\0"

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    (length,) = struct.unpack("!i", connection.recv(4))
                    if struct.unpack("!i", connection.recv(length - 4)[:4])[0] == 80877103:  # an SSLRequest
                        connection.sendall(b"N")
                        connection.recv(4096)
                    connection.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(
    ("state", "message", "code", "transient"),
    [
        ("28P01", 'password authentication failed for user "app"', "authentication", False),
        ("28000", 'Peer authentication failed for user "app"', "authentication-method", False),
        ("28000", 'role "ghost" does not exist', "role-unknown", False),
        ("28000", 'role "app" is not permitted to log in', "role-no-login", False),
        ("3D000", 'database "nodb" does not exist', "unknown", False),
        ("42501", 'permission denied for database "app"', "no-connect-right", False),
        ("28000", 'no pg_hba.conf entry for host "127.0.0.1", user "app"', "not-allowed", False),
        ("57P03", "the database system is starting up", "starting-up", True),
        ("57P03", "the database system is in recovery mode", "recovering", True),
        ("57P03", "the database system is not yet accepting connections", "recovering", True),
        ("57P03", "the database system is shutting down", "shutting-down", True),
        ("57P03", "the database system is not accepting connections", "standby-closed", False),
        ("55000", 'database "closed" is not currently accepting connections', "closed", False),
        ("53300", "sorry, too many clients already", "too-many-connections", True),
        ("53300", "remaining connection slots are reserved for roles with the SUPERUSER", "too-many-connections", True),
        ("53300", 'too many connections for role "app"', "too-many-connections", True),
        ("53300", 'too many connections for database "limited"', "too-many-connections", True),
        ("08P01", "no more connections allowed (max_client_conn)", "too-many-connections", True),
        ("42704", 'unrecognized configuration parameter "nope"', "parameter-invalid", False),
    ],
)
def test_refused_session_is_told_apart_by_its_words(state: str, message: str, code: str, transient: bool) -> None:
    """A failed connect has no SQLSTATE in psycopg2: what the server says decides."""
    with _server_that_says(state, message) as port:
        found = _refusal(f"postgresql://app:hidden@127.0.0.1:{port}/app")
    assert (found.code, found.transient) == (f"database-{code}", transient)
    assert found.cause
    assert found.fix
    assert "hidden" not in found.cause + found.fix
    assert "<" not in found.cause


def test_names_of_the_message_are_in_the_cause() -> None:
    """The role and the database that the server did not know are named."""
    with _server_that_says("3D000", 'database "nodb" does not exist') as port:
        assert '"nodb"' in _refusal(f"postgresql://app@127.0.0.1:{port}/nodb").cause


def test_unknown_words_are_shown_masked_and_tried_again() -> None:
    """A server that speaks another language may come up: its words are shown, without the password."""
    with _server_that_says("57P03", "la base hidden démarre") as port:
        engine = _engine(f"postgresql://app:hidden@127.0.0.1:{port}/app")
        with pytest.raises(DBAPIError) as caught:
            engine.connect()
    found = diagnose_database(caught.value, target="there", secrets={"hidden"})
    assert (found.code, found.transient) == ("database-unknown-fault", True)
    assert "la base *** démarre" in found.cause
    assert "with there" in found.cause


@pytest.mark.parametrize(
    ("mode", "code", "transient"),
    [
        ("close", "connection-lost", True),
        ("reset", "connection-lost", True),
        ("garbage", "not-postgresql", False),
        ("hang", "timeout", True),
    ],
)
def test_what_is_no_server_is_told_apart(mode: Mode, code: str, transient: bool, proxy: TcpProxy) -> None:
    """What accepts and closes, resets, speaks HTTP or stays silent."""
    proxy.mode = mode
    found = _refusal(f"postgresql://app@127.0.0.1:{proxy.port}/app")
    assert (found.code, found.transient) == (f"database-{code}", transient)


@pytest.mark.parametrize(
    ("url", "code", "transient"),
    [
        ("postgresql://app@127.0.0.1:{free}/app", "refused", True),
        ("postgresql://app@localhost:{free}/app", "refused", True),
        ("postgresql:///app?host=/no/such/dir", "socket-missing", True),
        ("postgresql://app@no-such-host.invalid/app", "host-unknown", True),
        ("{server}?sslmode=require", "no-tls", False),
        ("{server}?sslmode=verify-full&sslrootcert=/no/such.crt", "no-tls", False),
        ("{server}?service=nowhere", "option-invalid", False),
        ("{server}?options=-c%20nope%3D1", "parameter-invalid", False),
        ("postgresql://ghost@127.0.0.1:{port}/postgres", "role-unknown", False),
        ("postgresql://postgres@127.0.0.1:{port}/nodb", "unknown", False),
    ],
)
def test_connecting_for_real_fails_with_its_own_code(
    url: str, code: str, transient: bool, postgres: PostgresServer
) -> None:
    """Refused, unresolved, without TLS, unknown role, database and parameter."""
    found = _refusal(url.format(free=free_port(), server=postgres.url(), port=postgres.port))
    assert (found.code, found.transient) == (f"database-{code}", transient)


@pytest.mark.parametrize(
    ("change", "query", "code"),
    [
        ("ALTER DATABASE {0} CONNECTION LIMIT 0", "", "too-many-connections"),
        ("ALTER DATABASE {0} ALLOW_CONNECTIONS false", "", "closed"),
        ("ALTER DATABASE {0} SET default_transaction_read_only = on", "?target_session_attrs=read-write",
         "wrong-role-of-server"),
        ("REVOKE CONNECT ON DATABASE {0} FROM public", "", "no-connect-right"),
    ],
)  # fmt: skip
def test_database_that_is_closed_to_a_role(change: str, query: str, code: str, postgres: PostgresServer) -> None:
    """Limits and rights of one database."""
    name = postgres.new_database().rpartition("/")[2]
    postgres.query("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    postgres.query(change.format(name))
    found = _refusal(f"postgresql://plain@127.0.0.1:{postgres.port}/{name}{query}")
    assert found.code == f"database-{code}"


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """An engine on an empty database."""
    made = _engine(postgres_url)
    yield made
    made.dispose()


@pytest.fixture
def fault(engine: Engine) -> Diagnose:
    """A function that runs statements up to the one that fails, and diagnoses it."""

    def diagnosed(script: str) -> Diagnosis:
        *before, last = script.split(";;")
        with engine.connect() as connection:
            for statement in before:
                with contextlib.suppress(DBAPIError):
                    connection.execute(text(statement))
            with pytest.raises(DBAPIError) as caught:
                connection.execute(text(last))
        return diagnose_database(caught.value)

    return diagnosed


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("SELECT * FROM nope", "table-missing"),
        ("SELECT nope FROM pg_class", "column-missing"),
        ("CREATE TABLE nos.t (id integer)", "schema-missing"),
        ("SET ROLE pg_monitor;;SELECT * FROM pg_authid", "permission-denied"),
        ("SET TRANSACTION READ ONLY;;CREATE TABLE t (id integer)", "read-only"),
        ("SET statement_timeout = 50;;SELECT pg_sleep(5)", "statement-cancelled"),
        ("SELECT 1/0;;SELECT 1", "transaction-aborted"),
        ("CREATE TABLE t (id integer);;CREATE TABLE t (id integer)", "table-exists"),
        ("CREATE TABLE t (id integer UNIQUE);;INSERT INTO t VALUES (1), (1)", "constraint"),
        ("SELEC 1", "statement-invalid"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "connection-lost"),
    ],
)
def test_failed_statement_is_told_apart_by_its_state(script: str, code: str, fault: Diagnose) -> None:
    """What the server answers to a statement."""
    assert fault(script).code == f"database-{code}"


@pytest.mark.parametrize(
    ("state", "code", "transient"),
    [
        ("53100", "disk-full", False),
        ("53200", "out-of-memory", True),
        ("53400", "resources", True),
        ("53300", "too-many-connections", True),
        ("40001", "serialization", True),
        ("40P01", "deadlock", True),
        ("55P03", "lock-timeout", True),
        ("25006", "read-only", False),
        ("57014", "statement-cancelled", False),
        ("57P01", "connection-lost", True),
        ("57P03", "starting-up", True),
        ("08006", "connection-lost", True),
        ("58030", "server-io", False),
        ("XX001", "server-internal", False),
        ("23514", "constraint", False),
    ],
)
def test_state_that_a_server_raises(state: str, code: str, transient: bool, fault: Diagnose) -> None:
    """States that are hard to bring about are raised by a real server on purpose."""
    found = fault(f"DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END $$")
    assert (found.code, found.transient) == (f"database-{code}", transient)


def test_lock_timeout_and_deadlock_for_real(engine: Engine) -> None:
    """Two transactions that want the same: one waits too long, and one is the deadlock's victim."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t AS SELECT generate_series(1, 2) AS id"))
    with engine.connect() as first, engine.connect() as second:
        first.execute(text("UPDATE t SET id = id WHERE id = 1"))
        second.execute(text("SET LOCAL lock_timeout = 50"))
        with pytest.raises(DBAPIError) as caught:
            second.execute(text("UPDATE t SET id = id WHERE id = 1"))
        assert diagnose_database(caught.value).code == "database-lock-timeout"
        second.rollback()
        second.execute(text("UPDATE t SET id = id WHERE id = 2"))
        for each in (first, second):
            each.execute(text("SET LOCAL deadlock_timeout = 100"))
        assert "database-deadlock" in _crossed(first.execute, second.execute)


def _crossed(*executors: Callable[..., object]) -> list[str]:
    codes: list[str] = []

    def run(execute: Callable[..., object], wanted: int) -> None:
        try:
            execute(text(f"UPDATE t SET id = id WHERE id = {wanted}"))
        except DBAPIError as error:
            codes.append(diagnose_database(error).code)

    threads = [threading.Thread(target=run, args=(each, 2 - n)) for n, each in enumerate(executors)]
    for thread in threads:
        thread.start()
    threads[0].join(10)
    if not codes:
        threads[1].join(10)
    return codes


def test_serialization_failure_for_real(engine: Engine) -> None:
    """Write skew under SERIALIZABLE."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t AS SELECT 1 AS id"))
    serializable = engine.execution_options(isolation_level="SERIALIZABLE")
    with serializable.connect() as first, serializable.connect() as second:
        for each in (first, second):
            each.execute(text("SELECT sum(id) FROM t")).all()
        for each in (first, second):
            each.execute(text("INSERT INTO t VALUES (2)"))
        first.commit()
        with pytest.raises(DBAPIError) as caught:
            second.commit()
    assert diagnose_database(caught.value).code == "database-serialization"


def test_every_row_has_cause_fix_and_a_code_of_the_table() -> None:
    """No row is left half written."""
    for found in rows():
        assert found.code in CODES
        assert found.cause
        assert found.fix
        assert not (found.cause + found.fix).endswith(".")


def test_words_that_nobody_knows_are_no_row() -> None:
    """The table does not guess."""
    assert by_text("all is well") is None
    assert by_text(str(psycopg2.OperationalError("connection refused"))) is not None
