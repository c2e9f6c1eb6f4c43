"""Every statement that PostgreSQL refuses has its cause and fix, by its SQLSTATE."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settings.database import DatabaseURLParser
from settings.database.connectors import PostgreSQLConnector
from settings.database.diagnosis import CODES, diagnose_database
from settings.database.diagnosis_postgresql import rows
from settings.database.model import DatabaseSettings
from settings.problems import Diagnosis
from tests.servers import UNPRIVILEGED, PostgresServer

Diagnose = Callable[[str], Diagnosis]


def _engine(url: str) -> Engine:
    config = DatabaseURLParser.parse_url(url)
    assert config.is_valid, config.error_message
    return PostgreSQLConnector(DatabaseSettings(connect_timeout=1), app_name="tests").engine(config)


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


@pytest.fixture
def small_disk(postgres: PostgresServer) -> Iterator[Path]:
    """A file system of 1 MiB that belongs to the server, which only a user who may mount one can have."""
    folder = postgres.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,uid={UNPRIVILEGED}", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.full
def test_full_disk_of_the_server_for_real(engine: Engine, postgres: PostgresServer, small_disk: Path) -> None:
    """The statement that found it full is undone, and reading goes on."""
    postgres.query(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (words text) TABLESPACE small"))
        connection.execute(text("INSERT INTO t VALUES ('kept')"))
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 10000)"))
    found = diagnose_database(caught.value)
    assert (found.code, found.transient) == ("database-disk-full", False)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT words FROM t")).scalars().all() == ["kept"]
        connection.execute(text("DROP TABLE t"))
    postgres.query("DROP TABLESPACE small")


def test_every_row_has_cause_fix_and_a_code_of_the_table() -> None:
    """No row is left half written."""
    for found in rows():
        assert found.code in CODES
        assert found.cause
        assert found.fix
        assert not (found.cause + found.fix).endswith(".")
