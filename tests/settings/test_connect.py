"""Each configured service tried once: real servers that answer, refuse, hang and lie."""

import threading
import time
from pathlib import Path
from typing import cast

import pytest

from settings import Settings, load_settings
from settings.connect import Answer, Attempt, Service, try_services
from settings.database.connection import SmartConnectionManager
from settings.database.migrations import MigrationManager
from settings.probe import HealthStatus, Reading
from tests.cache.broken_redis import tls
from tests.proxy import TcpProxy
from tests.servers import PostgresServer, RedisServer, free_port
from tests.workers.rabbit import Fault, rabbit


def settings(folder: Path, **variables: str) -> Settings:
    """Return settings of these variables alone."""
    return load_settings(variables, folder=folder)


def tried(folder: Path, **variables: str) -> dict[str, Service]:
    """Return what came of trying the services of these variables, by name."""
    return {service.name: service for service in try_services(settings(folder, **variables))}


def test_nothing_is_tried_that_is_not_configured(tmp_path: Path) -> None:
    """By default there is the database alone, and no file is made to look for one."""
    found = tried(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert list(found) == ["database"]
    assert found["database"].status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_services_that_answer_are_ok(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> None:
    """A database and a Redis that answer are ok, with target and latency, and the migrations to come are told."""
    found = tried(tmp_path, DATABASE_URL=postgres_url, REDIS_URL=redis_server.url())
    assert {name: each.status for name, each in found.items()} == {"database": "ok", "redis": "ok"}
    assert "next boot" in found["database"].message
    assert all(each.latency_ms > 0 and each.target for each in found.values())


def test_migrations_that_nobody_runs_are_a_warning(tmp_path: Path, postgres_url: str) -> None:
    """Where DATABASE_MIGRATE is false, pending migrations are to be looked at; once they are run, all is well."""
    variables = {"DATABASE_URL": postgres_url, "DATABASE_MIGRATE": "false"}
    database = tried(tmp_path, **variables)["database"]
    assert (database.status, "migration-pending" in database.message) == ("warning", True)
    engine = SmartConnectionManager(settings(tmp_path, **variables).database).connect().engine
    assert engine is not None
    MigrationManager(engine).ensure_tables_exist()
    engine.dispose()
    assert tried(tmp_path, **variables)["database"].status == "ok"


def test_a_database_that_takes_no_writes_is_a_warning(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    """A standby, or a database that is set read-only, answers, and is told apart."""
    postgres.query(f"ALTER DATABASE {postgres_url.rpartition('/')[2]} SET default_transaction_read_only = on")
    database = tried(tmp_path, DATABASE_URL=postgres_url)["database"]
    assert (database.status, "database-takes-no-writes" in database.message) == ("warning", True)


def test_a_pool_larger_than_the_server_is_a_problem(tmp_path: Path, postgres_url: str) -> None:
    """DATABASE_POOL_SIZE beyond what the server gives is a warning of that variable."""
    [database] = try_services(settings(tmp_path, DATABASE_URL=postgres_url, DATABASE_POOL_SIZE="500"))
    assert [(each.variable, each.code, each.severity) for each in database.problems] == [
        ("DATABASE_POOL_SIZE", "pool-beyond-server", "warning")
    ]


def test_every_process_has_a_pool_of_its_own(tmp_path: Path, postgres_url: str) -> None:
    """What one process may ask for, a hundred of them may not."""
    one = settings(tmp_path, DATABASE_URL=postgres_url)
    assert [service.problems for service in try_services(one)] == [()]
    [database] = try_services(one, processes=100)
    assert "in 100 processes it asks for 1500 connections" in database.problems[0].message


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://app@no-such-host.invalid/app", "database-host-unknown"),
        ("postgresql://app@127.0.0.1:1/app", "database-refused"),
        ("{server}/no_such_database", "database-unknown"),
        ("{other}/postgres", "database-role-unknown"),
        ("{server}/postgres?sslmode=require", "database-no-tls"),
    ],
)
def test_each_fault_of_the_database_has_its_diagnosis(
    tmp_path: Path, postgres: PostgresServer, url: str, code: str
) -> None:
    """What cannot be used says why, with its stable code, and what to do."""
    server, other = (postgres.url(user=user).rpartition("/")[0] for user in ("postgres", "no_such_role"))
    database = tried(tmp_path, DATABASE_URL=url.format(server=server, other=other))["database"]
    assert (database.status, f"[{code}]" in database.message) == ("failed", True), database.message
    assert database.fix


def test_a_wrong_password_is_named_and_never_shown(tmp_path: Path, own_postgres: PostgresServer) -> None:
    """A refused password is told from other faults, and no part of it is in any text."""
    own_postgres.query("CREATE ROLE app LOGIN PASSWORD 'right'")
    own_postgres.require_passwords()
    database = tried(tmp_path, DATABASE_URL=own_postgres.url(user="app", password="Wr0ng%40Secret"))["database"]
    assert database.status == "failed"
    assert "password" in database.message
    assert "Wr0ng" not in repr(database)


def test_hanging_services_are_waited_for_side_by_side(tmp_path: Path, proxy: TcpProxy) -> None:
    """Three services that accept and stay silent cost the longest of their time-outs, not the sum."""
    proxy.mode = "hang"
    where = f"127.0.0.1:{proxy.port}"
    begin = time.monotonic()
    found = tried(
        tmp_path, DATABASE_URL=f"postgresql://app@{where}/app", DATABASE_CONNECT_TIMEOUT="2",
        REDIS_URL=f"redis://{where}/0", REDIS_TIMEOUT="1", WS_URL=f"ws://{where}/", WS_CONNECT_TIMEOUT="2",
    )  # fmt: skip
    assert {name: each.status for name, each in found.items()} == dict.fromkeys(
        ("database", "redis", "websocket"), "failed"
    )
    assert time.monotonic() - begin < sum(each.latency_ms for each in found.values()) / 1000


def test_the_broker_counts_with_celery_only(tmp_path: Path, redis_server: RedisServer) -> None:
    """Celery's broker is tried where Celery is the engine: by Redis' own client, or by a login."""
    broker = {"DATABASE_URL": f"sqlite:///{tmp_path}/a.db", "WORKERS_BROKER_URL": redis_server.url(1)}
    assert "broker" not in tried(tmp_path, **broker)
    assert tried(tmp_path, **broker, WORKERS_ENGINE="celery")["broker"].status == "ok"
    lost = broker | {"WORKERS_BROKER_URL": f"amqp://app:S3cretWord@127.0.0.1:{free_port()}//"}
    found = tried(tmp_path, **lost, WORKERS_ENGINE="celery")["broker"]
    assert (found.status, "broker-unreachable" in found.message) == ("failed", True)
    assert "S3cretWord" not in repr(found)


@pytest.mark.parametrize("own", [True, False])
def test_a_broker_that_fails_is_named_by_its_own_variable(tmp_path: Path, *, own: bool) -> None:
    """A broker on Redis is blamed on the variable that named it: its own, or REDIS_URL where that is the broker."""
    variable = "WORKERS_BROKER_URL" if own else "REDIS_URL"
    url = f"redis://127.0.0.1:{free_port()}/0"
    broker = tried(tmp_path, WORKERS_ENGINE="celery", **{variable: url})["broker"]
    assert broker.status == "failed"
    assert [each for each in ("WORKERS_BROKER_URL", "REDIS_URL") if each in broker.message + broker.fix] == [variable]


def test_a_broker_that_celery_cannot_open_is_told(tmp_path: Path) -> None:
    """What would end the boot fails here, before anything is connected."""
    broker = tried(tmp_path, WORKERS_ENGINE="celery", WORKERS_BROKER_URL="sqs://key:S3cretWord@")["broker"]
    assert (broker.status, "[broker-client-missing]" in broker.message) == ("failed", True)
    assert "S3cretWord" not in repr(broker)


def test_a_file_that_takes_no_writes_gets_advice_for_files(tmp_path: Path) -> None:
    """A SQLite file that can only be read is no standby."""
    (tmp_path / "a.db").touch()
    database = tried(tmp_path, DATABASE_URL=f"sqlite:///file:{tmp_path}/a.db?mode=ro&uri=true")["database"]
    assert (database.status, "[database-takes-no-writes]" in database.message) == ("warning", True)
    assert "file" in database.fix
    assert "target_session_attrs" not in database.fix


def test_progress_names_what_is_waited_for(tmp_path: Path) -> None:
    """A person at a terminal reads which services are still to answer."""
    lines: list[str] = []
    try_services(settings(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"), progress=lines.append)
    assert lines[0] == "waiting for database, redis …"


def test_a_surprise_is_shown_and_hides_nothing_else(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that no table knows is told with its words, masked, and the other services are tried all the same."""

    def surprise(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("who is S3cretWord?")

    monkeypatch.setattr("settings.database.manager.DatabaseManager.ping", surprise)
    (tmp_path / "there.db").touch()
    found = tried(
        tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/there.db", REDIS_URL=redis_server.url(), WS_TOKEN="S3cretWord"
    )
    assert found["redis"].status == "ok"
    assert "who is ***?" in found["database"].message
    row = cast("dict[str, str]", found["database"].row())
    assert set(row) == {"name", "target", "status", "latency_ms", "message", "fix"}


def test_a_service_that_never_answers_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When even the time-outs do not end an attempt, as with a name server, the report says so in time."""
    never = threading.Event()

    def ask() -> Answer:
        never.wait(30)
        return Reading(HealthStatus.HEALTHY), ()

    attempt = Attempt("redis", "redis://h", 0.05, ask, frozenset())
    monkeypatch.setattr("settings.connect._attempts", lambda _settings, _processes: [attempt])
    [service] = try_services(settings(tmp_path))
    never.set()
    assert (service.name, service.status, "connect-no-answer" in service.message) == ("redis", "failed", True)


def test_a_broker_without_an_address_is_not_tried(tmp_path: Path) -> None:
    """A queue in memory has no host in its URL: it is said that nothing was tried."""
    variables = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/a.db",
        "WORKERS_ENGINE": "celery",
        "WORKERS_BROKER_URL": "memory://",
    }
    assert "not tried" in tried(tmp_path, **variables)["broker"].message


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("", "ok", "took user and password"),
        ("login", "failed", "[broker-login-refused]"),
        ("virtual host", "failed", "[broker-virtual-host]"),
        ("silent", "failed", "[broker-unreachable]"),
    ],
)
def test_a_broker_of_amqp_is_logged_in_to(tmp_path: Path, fault: Fault, status: str, said: str) -> None:
    """User, password and virtual host are tried, one after the other is told apart, and no text has the password."""
    with rabbit(fault) as server:
        url = f"amqp://app:S3cretWord@127.0.0.1:{server.port}/shop"
        broker = tried(tmp_path, WORKERS_ENGINE="celery", WORKERS_BROKER_URL=url)["broker"]
    assert (broker.status, said in broker.message) == (status, True), broker.message
    assert bool(broker.fix) == (status == "failed")
    assert "S3cretWord" not in repr(broker)


def test_a_broker_on_redis_is_tried_in_its_own_words(tmp_path: Path, own_redis: RedisServer) -> None:
    """What kombu calls a socket and a virtual host are known to Redis' own client by other names."""
    own_redis.restart("--unixsocket", "redis.sock", "--databases", "4")
    url = f"redis+socket://{own_redis.folder}/redis.sock?virtual_host="
    found = [
        tried(tmp_path, WORKERS_ENGINE="celery", WORKERS_BROKER_URL=f"{url}{number}")["broker"].status
        for number in (3, 4)
    ]
    assert found == ["ok", "failed"]


def test_a_broker_over_tls_is_tried_in_its_own_words(tmp_path: Path) -> None:
    """Celery's words for the certificates are understood, as they are when it runs."""
    with tls("?ssl_cert_reqs=CERT_NONE") as url:
        assert tried(tmp_path, WORKERS_ENGINE="celery", WORKERS_BROKER_URL=url)["broker"].status == "ok"
