"""P12: a connection from the pool, a statement and a health check, beside SQLAlchemy's own with the same options."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, text

from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.model import DatabaseSettings
from tests.benchmarks.harness import Bar, Sampler, per_call
from tests.servers import PostgresServer

ONE = text("SELECT 1")


@contextmanager
def _databases(url: str, **values: float) -> Iterator[tuple[DatabaseManager, Engine]]:
    """Yield our database and SQLAlchemy's engine with the options of ours, each with a warm connection."""
    connections = SmartConnectionManager(DatabaseSettings.model_validate({"url": url, **values}), app_name="bench")
    database = DatabaseManager(connections)
    plain = create_engine(database.engine.url, **_plain(connections.engine_options()))
    if plain.dialect.name == "sqlite":
        _begin_as_documented(plain)
    _select_one(plain)
    yield database, plain
    plain.dispose()
    database.close()


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in options["connect_args"].items() if "factory" not in name}
    kept = {name: value for name, value in options.items() if name not in {"plugins", "twelvefactor"}}
    return {**kept, "connect_args": arguments}


def _begin_as_documented(engine: Engine) -> None:
    """Add what SQLAlchemy's documentation has for real transactions: ours has them, too."""
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


@contextmanager
def _url(kind: str) -> Iterator[str]:
    with ExitStack() as stack:
        if kind == "PostgreSQL":
            server = PostgresServer().start()
            stack.callback(server.close)
            yield server.new_database()
        else:
            yield f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/bench.db"


def _check_out(engine: Engine) -> None:
    with engine.connect():
        pass


def _select_one(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(ONE)


@contextmanager
def _checkout(kind: str, timeout: float = 0.0) -> Iterator[tuple[Sampler, Sampler]]:
    with _url(kind) as url, _databases(url, timeout=timeout) as (database, plain):
        number = 300 if kind == "PostgreSQL" else 1000
        ours = database.engine
        yield per_call(lambda: _check_out(ours), number=number), per_call(lambda: _check_out(plain), number=number)


@contextmanager
def _health(kind: str) -> Iterator[tuple[Sampler, Sampler]]:
    with _url(kind) as url, _databases(url) as (database, plain):
        number = 200 if kind == "PostgreSQL" else 500
        yield per_call(lambda: database.ping(1.0), number=number), per_call(lambda: _select_one(plain), number=number)


BARS = [
    Bar(
        "P12.checkout.sqlite", "a checkout, SQLite", "SQLAlchemy's, same options", 1.15, lambda: _checkout("SQLite"), 21
    ),
    Bar(
        "P12.checkout.pg",
        "a checkout, PostgreSQL",
        "SQLAlchemy's, same options",
        1.15,
        lambda: _checkout("PostgreSQL"),
        21,
    ),
    Bar(
        "P12.deadline",
        "a checkout under DATABASE_TIMEOUT, PostgreSQL",
        "SQLAlchemy's, which waits without end",
        2.0,
        lambda: _checkout("PostgreSQL", 5.0),
        21,
    ),
    Bar("P12.health.sqlite", "a ping, SQLite", "SQLAlchemy's SELECT 1", 1.10, lambda: _health("SQLite"), 21),
    Bar("P12.health.pg", "a ping, PostgreSQL", "SQLAlchemy's SELECT 1", 1.10, lambda: _health("PostgreSQL"), 21),
]
