"""Every way in which a connection does not come about or is lost has its cause and fix."""

from collections.abc import Iterator

import psycopg2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database import DatabaseURLParser
from settings.database.connectors import PostgreSQLConnector
from settings.database.diagnosis import diagnose_database
from settings.database.diagnosis_connecting import by_text
from settings.database.model import DatabaseSettings
from settings.problems import Diagnosis
from tests.database.refusing import server_that_says
from tests.database.tls import CERTIFICATE, TlsProxy
from tests.proxy import Mode, TcpProxy
from tests.servers import PostgresServer, free_port


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
        ("08P01", "unsupported startup parameter: options", "parameter-invalid", False),
        ("08P01", "no such database: nodb", "unknown", False),
    ],
)
def test_refused_session_is_told_apart_by_its_words(state: str, message: str, code: str, transient: bool) -> None:
    """A failed connect has no SQLSTATE in psycopg2: what the server says decides."""
    with server_that_says(state, message) as port:
        found = _refusal(f"postgresql://app:hidden@127.0.0.1:{port}/app")
    assert (found.code, found.transient) == (f"database-{code}", transient)
    assert found.cause
    assert found.fix
    assert "hidden" not in found.cause + found.fix
    assert "<" not in found.cause


def test_names_of_the_message_are_in_the_cause() -> None:
    """The role and the database that the server did not know are named."""
    with server_that_says("3D000", 'database "nodb" does not exist') as port:
        assert '"nodb"' in _refusal(f"postgresql://app@127.0.0.1:{port}/nodb").cause


def test_unknown_words_are_shown_masked_and_tried_again() -> None:
    """A server that speaks another language may come up: its words are shown, without the password."""
    with server_that_says("57P03", "la base hidden démarre") as port:
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
        ("{server}?sslmode=require&sslrootcert=system", "option-invalid", False),
        ("{server}?sslnegotiation=direct", "option-invalid", False),
        ("{server}?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "option-invalid", False),
        ("{server}?require_auth=md5,md5", "option-invalid", False),
        ("{server}?hostaddr=nowhere", "option-invalid", False),
        ("postgresql:///app?host=/" + 120 * "a", "option-invalid", False),
        ("{server}?require_auth=scram-sha-256", "requirement", False),
        ("{server}?channel_binding=require", "requirement", False),
        ("{server}?options=-c%20nope%3D1", "parameter-invalid", False),
        ("postgresql://ghost@127.0.0.1:{port}/postgres", "role-unknown", False),
        ("postgresql://postgres@127.0.0.1:{port}/nodb", "unknown", False),
    ],
)
def test_connecting_for_real_fails_with_its_own_code(
    url: str, code: str, transient: bool, postgres: PostgresServer
) -> None:
    """Refused, unresolved, without TLS, unknown role, database and parameter, options that cannot be met."""
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
def tls(postgres: PostgresServer) -> Iterator[TlsProxy]:
    """TLS in front of the server, with a certificate for 127.0.0.1 that nobody trusts by himself."""
    with TlsProxy(postgres.port) as made:
        yield made


def _behind(tls: TlsProxy, query: str, host: str = "127.0.0.1") -> str:
    return f"postgresql://postgres@{host}:{tls.port}/postgres?{query}"


@pytest.mark.parametrize(
    ("query", "host"),
    [
        ("sslmode=verify-full&sslrootcert=system", "127.0.0.1"),
        ("sslmode=verify-full&sslrootcert=/no/root.crt", "127.0.0.1"),
        (f"sslmode=verify-full&sslrootcert={CERTIFICATE}", "localhost"),
        (f"sslmode=require&sslcert={CERTIFICATE}&sslkey=/no/key", "127.0.0.1"),
    ],
)
def test_tls_that_is_not_agreed_upon_is_told_and_cannot_pass(query: str, host: str, tls: TlsProxy) -> None:
    """A certificate nobody trusts, no root, another name in it, no key of one's own."""
    found = _refusal(_behind(tls, query, host))
    assert (found.code, found.transient) == ("database-tls", False)


def test_server_that_goes_away_in_the_middle_of_a_login_by_tls_may_come_back(tls: TlsProxy) -> None:
    """What libpq calls a fault of TLS then is none."""
    tls.mode = "close"
    found = _refusal(_behind(tls, "sslmode=require"))
    assert (found.code, found.transient) == ("database-connection-lost", True)


def test_connection_lost_behind_tls_is_no_fault_of_tls(tls: TlsProxy) -> None:
    """The server is gone in mid-transaction: lost, as without TLS, and the next request succeeds."""
    engine = _engine(_behind(tls, f"sslmode=verify-full&sslrootcert={CERTIFICATE}"))
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        tls.cut()
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
    found = diagnose_database(caught.value)
    assert (found.code, found.transient) == ("database-connection-lost", True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("local user with ID 1000660000 does not exist", "user-missing"),
        ("channel binding is required, but server did not offer an authentication method", "requirement"),
        ('requirepeer specifies "a", but actual peer user name is "b"', "requirement"),
        ("server did not request an SSL certificate", "requirement"),
        ("GSSAPI encryption required but no credential cache", "requirement"),
        ("server doesn't support GSSAPI encryption, but it was required", "requirement"),
        ('service file "/no/service.conf" not found', "option-invalid"),
        ('private key file "k" has group or world access', "tls"),
        ("protocol version not supported by server: client uses 3.0", "not-postgresql"),
    ],
)
def test_words_of_libpq_that_no_waiting_changes(words: str, code: str) -> None:
    """They are hard to bring about: what libpq's own text says decides."""
    found = by_text(words)
    assert found is not None
    assert (found.code, found.transient) == (f"database-{code}", False)


@pytest.mark.parametrize(
    "words",
    [
        "SSL SYSCALL error: Connection timed out",
        "SSL SYSCALL error: Connection reset by peer",
        "SSL error: unexpected eof while reading",
        "SSL connection has been closed unexpectedly",
        "could not receive data from server: Connection timed out",
        "write to server failed",
    ],
)
def test_words_of_a_connection_that_is_lost(words: str) -> None:
    """Keepalives that found nobody, a reset, a close: all of them can pass."""
    found = by_text(words)
    assert found is not None
    assert (found.code, found.transient) == ("database-connection-lost", True)


def test_words_that_nobody_knows_are_no_row() -> None:
    """The table does not guess."""
    assert by_text("all is well") is None
    assert by_text(str(psycopg2.OperationalError("connection refused"))) is not None
