"""PostgreSQL URLs mean what SQLAlchemy, psycopg2 and libpq make of them."""

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn, parse_dsn
from sqlalchemy import URL, make_url
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from settings.database import DatabaseConfig, DatabaseType, DatabaseURLParser
from settings.database.connectors import PostgreSQLConnector
from settings.database.model import DatabaseSettings
from tests.database.url_texts import LOOSE, WORD

Parts = dict[str, str]
FOLDER = Path("/srv/app")


def _parsed(url: str) -> DatabaseConfig:
    return DatabaseURLParser.parse_url(url, folder=FOLDER)


def _as_libpq_gets_it(url: str | URL) -> Parts:
    """What SQLAlchemy and psycopg2 hand to libpq for a URL."""
    dialect: Any = PGDialect_psycopg2
    positional, keywords = dialect().create_connect_args(make_url(url))
    return _without_empty_ports(parse_dsn(make_dsn(*positional, **keywords)))


def _without_empty_ports(parts: Parts) -> Parts:
    if not parts.get("port", "").strip(","):
        parts.pop("port", None)
    return parts


def _as_we_say(config: DatabaseConfig) -> Parts:
    named = {
        "host": config.host,
        "port": config.port,
        "dbname": config.database,
        "user": config.username,
        "password": config.password,
    }
    return {**config.options, **{name: str(value) for name, value in named.items() if value is not None}}


POSTGRESQL = [
    ("postgresql://u:p@h:5432/d", "host=h port=5432 dbname=d user=u password=p"),
    ("postgres://u:p%40ss@h/d", "host=h dbname=d user=u password=p@ss"),
    ("POSTGRES://u@h/d", "host=h dbname=d user=u"),
    ("PostgreSQL+Psycopg2://u@h/d", "host=h dbname=d user=u"),
    ("postgresql://h/d", "host=h dbname=d"),
    ("postgresql:///d", "dbname=d"),
    ("postgresql://u:p@[::1]:5433/d", "host=::1 port=5433 dbname=d user=u password=p"),
    ("postgresql://[fe80::1%25eth0]/d", "host=fe80::1%eth0 dbname=d"),
    ("postgresql://u@[fe80::1%2512]:5433/d", "host=fe80::1%12 port=5433 dbname=d user=u"),
    ("postgresql:///d?host=/var/run/postgresql", "host=/var/run/postgresql dbname=d"),
    ("postgresql://%2Fvar%2Frun/d", "host=/var/run dbname=d"),
    ("postgresql://h:5432/d?host=/tmp", "host=/tmp port=5432 dbname=d"),
    ("postgresql:///d?host=@abstract", "host=@abstract dbname=d"),
    ("postgresql://u@h1:5432,h2:5433/d", "host=h1,h2 port=5432,5433 dbname=d user=u"),
    ("postgresql://h1:5432,h2/d", "host=h1,h2 port=5432, dbname=d"),
    ("postgresql://h1,h2/d?target_session_attrs=primary", "host=h1,h2 dbname=d target_session_attrs=primary"),
    ("postgresql://u@/d?host=h1:5432&host=h2:5433", "host=h1,h2 port=5432,5433 dbname=d user=u"),
    ("postgresql://u@/d?host=h1,h2&port=5433", "host=h1,h2 port=5433,5433 dbname=d user=u"),
    (
        "postgresql://u@h/d?connect_timeout=3&sslmode=require",
        "host=h dbname=d user=u connect_timeout=3 sslmode=require",
    ),
    ("postgresql://h/d?options=-c%20a%3Db", "host=h dbname=d options='-c a=b'"),
    ("postgresql://h/d?application_name=a+b", "host=h dbname=d application_name='a b'"),
    ("postgresql://h/d?user=u&password=S%26x", "host=h dbname=d user=u password=S&x"),
    ("postgresql://h/?dbname=d", "host=h dbname=d"),
    ("postgresql://h/d?ssl=true", "host=h dbname=d sslmode=require"),
    ("postgresql://h/my%20db", "host=h dbname='my db'"),
    ("postgresql://h/%C3%A4?a", "host=h dbname=ä"),
    ("postgresql://u:a/b@h/d", "host=h dbname=d user=u password=a/b"),
    ("postgresql://u:50%off@h/d", "host=h dbname=d user=u password=50%off"),
    ("postgresql://u:p+q%2B@h/d", "host=h dbname=d user=u password=p+q+"),
    ("postgresql://u%20v@h:/d", "host=h dbname=d user='u v'"),
    ("postgresql://:p@h/d", "host=h dbname=d password=p"),
    ("  postgresql://h/d\n", "host=h dbname=d"),
    ("postgresql://[]/d", "dbname=d"),
    ("postgresql:///d?host=/", "host=/ dbname=d"),
    ("postgresql:///d?host=h:5433", "host=h port=5433 dbname=d"),
    ("postgresql://:5433/d?host=h:", "host=h port=5433 dbname=d"),
    ("postgresql:///d?host=h1,h2", "host=h1,h2 dbname=d"),
    ("postgresql://h/a%40b", "host=h dbname=a@b"),
    ("postgresql://h:5432/a%40b", "host=h port=5432 dbname=a@b"),
]


@pytest.mark.parametrize(("url", "dsn"), POSTGRESQL)
def test_postgresql_url_means_what_the_drivers_make_of_it(url: str, dsn: str) -> None:
    """Parts and options are as documented, and the normalised URL gives libpq the very same."""
    config = _parsed(url)
    assert config.is_valid, config.error_message
    assert (config.type, config.driver) == (DatabaseType.POSTGRESQL, "psycopg2")
    assert _as_we_say(config) == parse_dsn(dsn)
    assert _as_libpq_gets_it(config.connection_string) == parse_dsn(dsn)
    connector = PostgreSQLConnector(DatabaseSettings())
    assert _as_libpq_gets_it(connector.url(config)) == parse_dsn(dsn)
    assert _as_we_say(_parsed(config.connection_string)) == parse_dsn(dsn)


LIBPQ_OPTIONS = """
    hostaddr=127.0.0.1 passfile=/p require_auth=md5 client_encoding=utf8 options=-cx application_name=a
    fallback_application_name=a replication=database sslcompression=0 sslcert=/c sslkey=/k sslpassword=w sslrootcert=/r
    sslcrl=/l sslcrldir=/l sslsni=1 requirepeer=u krbsrvname=k gsslib=g gssdelegation=1 service=s
    connect_timeout=3 keepalives=1 keepalives_idle=5 keepalives_interval=5 keepalives_count=5 tcp_user_timeout=5
    ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=tlsv1.3 ssl_max_protocol_version=TLSv1
    sslmode=disable sslmode=allow sslmode=prefer sslmode=require sslmode=verify-ca sslmode=verify-full
    sslnegotiation=postgres sslnegotiation=direct sslcertmode=disable sslcertmode=allow sslcertmode=require
    gssencmode=disable gssencmode=prefer gssencmode=require
    channel_binding=disable channel_binding=prefer channel_binding=require
    target_session_attrs=any target_session_attrs=read-write target_session_attrs=read-only
    target_session_attrs=primary target_session_attrs=standby target_session_attrs=prefer-standby
    load_balance_hosts=disable load_balance_hosts=random
""".split()  # noqa: SIM905 - a table, as in libpq 17's documentation


@pytest.mark.parametrize("option", LIBPQ_OPTIONS)
def test_every_option_of_libpq_is_taken_with_its_values(option: str) -> None:
    """What libpq documents is no typing error, and is handed on as it is."""
    config = _parsed(f"postgresql://h/d?{option}")
    assert config.is_valid, config.error_message
    name, _, value = option.partition("=")
    assert config.options == {name: value}


def test_a_service_may_name_the_database() -> None:
    """Then the URL has no path, and gets none."""
    config = _parsed("postgresql://h?service=s")
    assert config.is_valid
    assert (config.database, config.connection_string) == (None, "postgresql+psycopg2://h?service=s")


HOSTS = st.sampled_from(["h", "db.example.com", "127.0.0.1", "[::1]", "xn--nxasmq6b", "a_b"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={"application_name": WORD, "connect_timeout": st.integers(0, 99).map(str), "sslrootcert": WORD,
              "sslmode": st.sampled_from(["disable", "prefer", "verify-full"]), "options": WORD, "sslpassword": WORD},
)  # fmt: skip


@given(WORD, WORD, HOSTS, st.none() | st.integers(1, 65535), WORD, OPTIONS)
def test_encoded_parts_come_back_decoded(
    user: str, password: str, host: str, port: int | None, database: str, options: Parts
) -> None:
    """Render and parse are inverse, for the driver too, whatever characters the parts hold."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
    where = host if port is None else f"{host}:{port}"
    url = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{where}/{quote(database, safe='')}?{query}"
    config = _parsed(url)
    assert config.is_valid, config.error_message
    assert (config.username, config.password, config.database) == (user, password, database)
    assert (config.host, config.port, dict(config.options)) == (host.strip("[]"), port, options)
    assert _as_libpq_gets_it(config.connection_string) == _as_we_say(config)
    assert _parsed(config.connection_string).connection_string == config.connection_string


SCHEMES = st.sampled_from(["postgresql://", "postgres://", "postgresql+psycopg2://", "postgresql:///d?"])


@given(SCHEMES, LOOSE)
def test_any_text_is_read_as_sqlalchemy_reads_it_or_refused(scheme: str, rest: str) -> None:
    """Nothing raises; what is valid opens as the parts say, and as SQLAlchemy reads the text where it can."""
    config = _parsed(scheme + rest)
    if not config.is_valid:
        assert config.error_message
        return
    assert _as_libpq_gets_it(config.connection_string) == _as_we_say(config)
    plain = "postgresql+psycopg2://" + (scheme + rest).strip().partition("://")[2]
    if "%" in plain.partition("/")[0] or "ssl=true" in plain or "%" in config.connection_string.partition("?")[0]:
        return  # SQLAlchemy leaves a host encoded, which libpq's URLs decode, and knows no ssl=true
    with contextlib.suppress(ValueError, ProgrammingError):
        assert _as_libpq_gets_it(plain) == _as_we_say(config)
