"""`DATABASE_URL` parsed: never raises, never lies, and what is valid is what SQLAlchemy and the driver open."""

import contextlib
import ntpath
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn, parse_dsn
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from settings.database import DatabaseConfig, DatabaseType, DatabaseURLParser
from settings.database.connectors import PostgreSQLConnector
from settings.database.model import DatabaseSettings

Parts = dict[str, str]
FOLDER = Path("/srv/app")


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


def _parsed(url: str) -> DatabaseConfig:
    return DatabaseURLParser.parse_url(url, folder=FOLDER)


POSTGRESQL = [
    ("postgresql://u:p@h:5432/d", "host=h port=5432 dbname=d user=u password=p"),
    ("postgres://u:p%40ss@h/d", "host=h dbname=d user=u password=p@ss"),
    ("POSTGRES://u@h/d", "host=h dbname=d user=u"),
    ("PostgreSQL+Psycopg2://u@h/d", "host=h dbname=d user=u"),
    ("postgresql://h/d", "host=h dbname=d"),
    ("postgresql:///d", "dbname=d"),
    ("postgresql://u:p@[::1]:5433/d", "host=::1 port=5433 dbname=d user=u password=p"),
    ("postgresql://[fe80::1%25eth0]/d", "host=fe80::1%eth0 dbname=d"),
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


INVALID = [
    ("", "empty-url"),
    ("   ", "empty-url"),
    ("h/d", "malformed-url"),
    ("postgresql:/h/d", "malformed-url"),
    ("://h/d", "malformed-url"),
    ("mysql://h/d", "unknown-scheme"),
    ("postgresqls://h/d", "unknown-scheme"),
    ("postgresql+asyncpg://h/d", "unknown-driver"),
    ("sqlite+aiosqlite:///a.db", "unknown-driver"),
    ("postgresql://h", "missing-database"),
    ("postgresql://h/", "missing-database"),
    ("postgresql://u:Pa@ssTail@db/app", "unescaped-character"),
    ("postgresql://u@h?x@y/d", "unescaped-character"),
    ("postgresql://h:70000/d", "invalid-port"),
    ("postgresql://h:0/d", "invalid-port"),
    ("postgresql://h:54x2/d", "invalid-port"),
    ("postgresql://h:-1/d", "invalid-port"),
    ("postgresql://h1:1,h2:2,h3/d?host=a,b", "invalid-host"),
    ("postgresql://::1/d", "invalid-port"),
    ("postgresql://a[::1]/d", "invalid-host"),
    ("postgresql://[::1/d", "invalid-host"),
    ("postgresql://h a/d", "invalid-host"),
    ("postgresql://h/d?foo=1", "unknown-option"),
    ("postgresql://h/d?sslmode=maybe", "invalid-option"),
    ("postgresql://h/d?connect_timeout=soon", "invalid-option"),
    ("postgresql://h/d?sslmode=require&sslmode=disable", "repeated-option"),
    ("postgresql://h/%ff", "invalid-encoding"),
    ("postgresql://h/a%00b", "invalid-encoding"),
    ("postgresql://h/a\x00b", "invalid-character"),
    ("postgresql://h/a\nb", "invalid-character"),
    ("sqlite://app.db", "invalid-path"),
    ("sqlite://host/app.db", "invalid-path"),
    ("sqlite:///file:app.db", "invalid-path"),
    ("sqlite:///app.db?uri=true", "invalid-path"),
    ("sqlite:///?uri=true", "missing-database"),
    ("sqlite:///app.db?mode=ro", "unknown-option"),
    ("sqlite:///app.db?timeout=soon", "invalid-option"),
    ("sqlite:///file:app.db?uri=true&mode=write", "invalid-option"),
    ("sqlite:///file:app.db?uri=true&moed=ro", "unknown-option"),
    ("sqlite:///file://host/app.db?uri=true", "invalid-path"),
    ("sqlite:///app.db?isolation_level=NONE", "invalid-option"),
]


@pytest.mark.parametrize(("url", "code"), INVALID)
def test_invalid_url_is_refused_with_code_cause_and_fix(url: str, code: str) -> None:
    """The verdict names what is wrong and what to write, and nothing secret."""
    verdict = DatabaseURLParser.validate_url(url)
    assert (verdict.is_valid, verdict.code) == (False, code)
    assert verdict.error_message
    assert verdict.fix
    assert "ssTail" not in repr(verdict) + repr(_parsed(url))


SQLITE = [
    ("sqlite://", ":memory:", {}),
    ("sqlite:///", ":memory:", {}),
    ("sqlite:///:memory:", ":memory:", {}),
    ("SQLite+pysqlite:///app.db", "/srv/app/app.db", {}),
    ("sqlite:///app.db", "/srv/app/app.db", {}),
    ("sqlite:///./a/../app.db", "/srv/app/app.db", {}),
    ("sqlite:////var/lib/app.db", "/var/lib/app.db", {}),
    ("sqlite:///my%20app.db", "/srv/app/my app.db", {}),
    ("sqlite:///app.db?timeout=5", "/srv/app/app.db", {"timeout": "5"}),
    ("sqlite:///100%.db", "/srv/app/100%.db", {}),
    ("sqlite:///C:\\data\\app.db", "C:\\data\\app.db", {}),
    ("sqlite:///C:/data/app.db", "C:/data/app.db", {}),
    ("sqlite:///file:app.db?uri=true", "file:/srv/app/app.db", {"uri": "true"}),
    ("sqlite:///file:/a/b.db?uri=true&mode=ro", "file:/a/b.db", {"uri": "true", "mode": "ro"}),
    ("sqlite:///file:///a/b.db?uri=true", "file:///a/b.db", {"uri": "true"}),
    ("sqlite:///file::memory:?uri=true&cache=shared", "file::memory:", {"uri": "true", "cache": "shared"}),
    ("sqlite:///file:x?uri=true&mode=memory", "file:x", {"uri": "true", "mode": "memory"}),
]


@pytest.mark.parametrize(("url", "database", "options"), SQLITE)
def test_sqlite_url_names_file_and_options(url: str, database: str, options: Parts) -> None:
    """The path is decoded and absolute, options are options, and pysqlite is given the same."""
    config = _parsed(url)
    assert config.is_valid, config.error_message
    assert (config.type, config.driver) == (DatabaseType.SQLITE, "pysqlite")
    assert (config.database, dict(config.options)) == (database, options)
    made = make_url(config.connection_string)
    assert (made.database, dict(made.query)) == (database, options)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///app.db?timeout=5", "app.db"),
        ("sqlite:///a%20b.db", "a b.db"),
        ("sqlite:///a%3Fb%23c%25.db", "a?b#c%.db"),
        ("sqlite:///file:x.db?uri=true", "x.db"),
        ("sqlite:///file:%2525.db?uri=true&mode=rwc", "%.db"),
        ("sqlite:///C:\\app.db", "C:\\app.db"),
    ],
)
def test_sqlite_opens_the_file_that_is_named_and_no_other(url: str, file: str, working_directory: Path) -> None:
    """Pysqlite makes exactly this file: none is called `app.db?timeout=5`."""
    config = DatabaseURLParser.parse_url(url)
    engine = create_engine(config.connection_string)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    engine.dispose()
    assert os.listdir(working_directory) == [file]  # noqa: PTH208 - the names are wanted


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///C:\\app.db", "Windows path"),
        ("sqlite:///~/app.db", "~ is not expanded"),
        ("sqlite:///folder/", "names a folder"),
        ("postgresql://u:a/b@h/d", "percent-encoded"),
        ("postgresql://h/d?connect_timeout=0", "waits without end"),
    ],
)
def test_what_is_seldom_meant_is_a_warning(url: str, words: str) -> None:
    """It is valid, and said."""
    verdict = DatabaseURLParser.validate_url(url)
    assert verdict.is_valid
    assert words in " ".join(verdict.warnings)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgres://x", DatabaseType.POSTGRESQL),
        (" POSTGRESQL+asyncpg://x", DatabaseType.POSTGRESQL),
        ("sqlite://", DatabaseType.SQLITE),
        ("sqlite:////postgresql-data/a.db", DatabaseType.SQLITE),
        ("mysql://x", DatabaseType.UNKNOWN),
        ("", DatabaseType.UNKNOWN),
        ("postgresql", DatabaseType.UNKNOWN),
    ],
)
def test_type_is_what_the_scheme_says(url: str, kind: DatabaseType) -> None:
    """By the scheme's pattern, not by a word somewhere in the URL."""
    assert DatabaseURLParser.detect_database_type(url) is kind


@pytest.mark.parametrize("url", [None, 3, b"postgresql://h/d", ["x"]])
def test_what_is_no_text_is_invalid(url: str) -> None:
    """Nor does it raise."""
    assert DatabaseURLParser.detect_database_type(url) is DatabaseType.UNKNOWN
    assert not DatabaseURLParser.parse_url(url).is_valid


def test_repr_masks_every_secret() -> None:
    """Password and secret options are the URL's own, and never in a repr."""
    config = _parsed("postgresql://u:hidden%40word@h/d?sslpassword=alsohidden")
    assert config.password == "hidden@word"
    assert "hidden%40word" in config.connection_string
    assert "hidden" not in repr(config) + str(config) + config.target


def test_sqlite_uri_with_mode_ro_makes_no_file(working_directory: Path) -> None:
    """SQLite's own options reach SQLite."""
    engine = create_engine(DatabaseURLParser.parse_url("sqlite:///file:no.db?uri=true&mode=ro").connection_string)
    with contextlib.suppress(Exception):
        engine.connect()
    engine.dispose()
    assert not list(working_directory.iterdir())


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
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


LOOSE = st.text(
    st.sampled_from("ab1@:/?#%&=,.[]+ 2ä\\~") | st.characters(codec="utf-8", max_codepoint=0x2FF), max_size=30
)
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


@given(st.sampled_from(["sqlite:///", "sqlite:////", "sqlite+pysqlite:///file:", "sqlite://"]), LOOSE)
def test_any_sqlite_text_is_read_as_pysqlite_reads_it_or_refused(scheme: str, rest: str) -> None:
    """Nothing raises, and pysqlite makes the same path and options of the text and of the normalised URL."""
    config = _parsed(scheme + rest)
    if not config.is_valid:
        assert config.error_message
        return
    path = str(config.database)
    assert config.is_memory or path.removeprefix("file:").startswith("/") or ntpath.splitdrive(path)[0]
    positional, _ = SQLiteDialect_pysqlite().create_connect_args(make_url(config.connection_string))
    opened = str(positional[0]).partition("?")[0] if config.options.get("uri") else str(positional[0])
    assert opened in {path, os.path.abspath(path)}  # noqa: PTH100 - as pysqlite does it


@given(st.text(max_size=60) | st.builds(lambda a, b: f"{a}://{b}", st.text(max_size=8), st.text(max_size=40)))
def test_parser_raises_nothing(text_of_it: str) -> None:
    """Whatever the text: a verdict, and a repr."""
    config = DatabaseURLParser.parse_url(text_of_it)
    assert config.is_valid or config.error_message
    assert repr(config)
    DatabaseURLParser.detect_database_type(text_of_it)


@given(WORD.filter(lambda word: len(word) > 3))
def test_password_is_in_no_text_but_the_real_url(password: str) -> None:
    """Neither encoded nor decoded: not in repr, target, verdict, or the error of a broken URL."""
    secret = f"Zq{password}qZ"
    for where in ("h/d", "h:x/d", "h/", "h/d?foo=1"):
        url = f"postgresql://u:{quote(secret, safe='')}@{where}"
        config = _parsed(url)
        shown = repr(config) + config.target + repr(DatabaseURLParser.validate_url(url))
        assert secret not in shown
        assert quote(secret, safe="") not in shown
