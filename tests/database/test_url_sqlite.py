"""SQLite URLs name the file that pysqlite opens, and no other."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from settings.database import DatabaseConfig, DatabaseType, DatabaseURLParser
from tests.database.url_texts import LOOSE

Parts = dict[str, str]
FOLDER = Path("/srv/app")


def _parsed(url: str) -> DatabaseConfig:
    return DatabaseURLParser.parse_url(url, folder=FOLDER)


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
    ("sqlite:///C:\\data\\app.db", "/srv/app/C:\\data\\app.db", {}),
    ("sqlite:///C:/data/app.db", "/srv/app/C:/data/app.db", {}),
    ("sqlite:///file:app.db?uri=true", "file:/srv/app/app.db", {"uri": "true"}),
    ("sqlite:///file:C:/app.db?uri=true", "file:/srv/app/C:/app.db", {"uri": "true"}),
    ("sqlite:///file:/a/b.db?uri=true&mode=ro", "file:/a/b.db", {"uri": "true", "mode": "ro"}),
    ("sqlite:///file:///a/b.db?uri=true", "file:///a/b.db", {"uri": "true"}),
    ("sqlite:///file::memory:?uri=true&cache=shared", "file::memory:", {"uri": "true", "cache": "shared"}),
    ("sqlite:///file:x?uri=true&mode=memory", "file:x", {"uri": "true", "mode": "memory"}),
    ("sqlite:///:memory:?uri=true", ":memory:", {"uri": "true"}),
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


SQLITE_OPTIONS = """
    mode=ro mode=rw mode=rwc mode=memory cache=shared cache=private immutable=1 modeof=/a nolock=1 psow=0 vfs=unix
    timeout=5 timeout=0.5 isolation_level=deferred isolation_level=IMMEDIATE isolation_level=EXCLUSIVE
    detect_types=3 cached_statements=10
    check_same_thread=true check_same_thread=yes check_same_thread=on check_same_thread=y check_same_thread=t
    check_same_thread=1 check_same_thread=False check_same_thread=no check_same_thread=off check_same_thread=n
    check_same_thread=f check_same_thread=0
""".split()  # noqa: SIM905 - a table


@pytest.mark.parametrize("option", SQLITE_OPTIONS)
def test_every_option_of_sqlite_and_pysqlite_is_taken(option: str) -> None:
    """What either documents is no typing error, and is handed on as it is."""
    config = _parsed(f"sqlite:///file:/a.db?uri=true&{option}")
    assert config.is_valid, config.error_message
    name, _, value = option.partition("=")
    assert config.options == {"uri": "true", name: value}


@pytest.mark.parametrize("value", ["true", "YES", "on", "y", "t", "1"])
def test_every_truth_value_makes_a_uri(value: str) -> None:
    """As SQLAlchemy reads them."""
    assert _parsed(f"sqlite:///file:/a.db?uri={value}").database == "file:/a.db"


def test_an_option_that_would_be_ignored_is_named() -> None:
    """The first by name."""
    assert "'cache'" in _parsed("sqlite:///app.db?mode=ro&cache=shared").error_message


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


def test_sqlite_uri_with_mode_ro_makes_no_file(working_directory: Path) -> None:
    """SQLite's own options reach SQLite."""
    engine = create_engine(DatabaseURLParser.parse_url("sqlite:///file:no.db?uri=true&mode=ro").connection_string)
    with contextlib.suppress(Exception):
        engine.connect()
    engine.dispose()
    assert not list(working_directory.iterdir())


@given(st.sampled_from(["sqlite:///", "sqlite:////", "sqlite+pysqlite:///file:", "sqlite://"]), LOOSE)
def test_any_sqlite_text_is_read_as_pysqlite_reads_it_or_refused(scheme: str, rest: str) -> None:
    """Nothing raises, and pysqlite makes the same path and options of the text and of the normalised URL."""
    config = _parsed(scheme + rest)
    if not config.is_valid:
        assert config.error_message
        return
    path = str(config.database)
    assert config.is_memory or path.removeprefix("file:").startswith("/")
    positional, _ = SQLiteDialect_pysqlite().create_connect_args(make_url(config.connection_string))
    opened = str(positional[0]).partition("?")[0] if config.options.get("uri") else str(positional[0])
    assert opened in {path, os.path.abspath(path)}  # noqa: PTH100 - as pysqlite does it
