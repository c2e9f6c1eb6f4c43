"""The engine and the sessions of an application, on every kind of database."""

import logging
import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from settings.database.config import DatabaseType
from settings.probe import HealthStatus
from settings.problems import BootstrapError
from tests.database.conftest import Open
from tests.database.refusing import server_that_says
from tests.proxy import TcpProxy
from tests.servers import PostgresServer, free_port, wait_until


def _number(engine: Engine, statement: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())


def _insert_and_fail(session: Session) -> None:
    session.execute(text("INSERT INTO t VALUES (2)"))
    raise KeyError("the work fails")


def test_engine_works_and_stays_the_same(open_database: Open, each_url: str) -> None:
    """The engine answers, and asking for it again gives the same one."""
    database = open_database(url=each_url)
    assert _number(database.engine, "SELECT 40 + 2") == 42
    assert database.engine is database.engine
    assert database.result.success
    assert not database.result.fallback_used


def test_session_commits_at_the_end_and_rolls_back_on_an_exception(open_database: Open, each_url: str) -> None:
    """What a block wrote is there after it; what a failed block wrote is not."""
    database = open_database(url=each_url)
    with database.session() as session:
        session.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
        session.execute(text("INSERT INTO t VALUES (1)"))
    with pytest.raises(KeyError), database.session() as session:
        _insert_and_fail(session)
    assert _number(database.engine, "SELECT sum(id) FROM t") == 1


def test_removed_session_is_rolled_back(open_database: Open, each_url: str) -> None:
    """What nobody committed is gone when the context ends."""
    database = open_database(url=each_url)
    database.session.execute(text("CREATE TABLE t (id INTEGER)"))
    database.session.commit()
    database.session.execute(text("INSERT INTO t VALUES (1)"))
    database.remove_session()
    assert _number(database.engine, "SELECT count(*) FROM t") == 0


def test_one_session_for_each_scope(open_database: Open, tmp_path: Path) -> None:
    """The scope decides which session is meant, and `session_scope` gives one of its own."""
    database = open_database(url=f"sqlite:///{tmp_path}/app.db")
    mine = database.session()
    assert database.session() is mine
    with database.session_scope() as other:
        assert other is not mine
        assert other.scalar(text("SELECT 1")) == 1


def test_ping_is_healthy_with_figures(open_database: Open, each_url: str) -> None:
    """A ping of a living database says so, with its latency."""
    reading = open_database(url=each_url).ping(5.0)
    assert reading.status is HealthStatus.HEALTHY
    assert float(reading.facts["latency_ms"] or 0) > 0
    assert not reading.code


def test_ping_of_what_cannot_be_reached_is_a_diagnosis(open_database: Open) -> None:
    """A ping never raises: cause and fix come as values."""
    reading = open_database(url=f"postgresql://app:hidden@127.0.0.1:{free_port()}/app").ping(1.0)
    assert reading.status is HealthStatus.UNHEALTHY
    assert reading.code == "database-refused"
    assert reading.fix
    assert "hidden" not in repr(reading)


def test_ping_shows_no_password_that_the_server_repeats(
    open_database: Open, postgres: PostgresServer, proxy: TcpProxy
) -> None:
    """A fault that is not known is shown in the server's own words, but for what is secret."""
    proxy.target = postgres.port
    database = open_database(url=f"postgresql://postgres:hidden%40word@127.0.0.1:{proxy.port}/postgres")
    assert database.ping(5).status is HealthStatus.HEALTHY
    with server_that_says("57P03", "la base hidden@word démarre") as port:
        proxy.target = port
        proxy.cut()
        reading = database.ping(5)
    assert reading.code == "database-unknown-fault"
    assert "la base *** démarre" in reading.cause


def test_engine_of_an_unreachable_database_raises_with_cause_and_fix(open_database: Open) -> None:
    """Without a fallback the error names variable, masked target, cause and fix, and no password."""
    port = free_port()
    with pytest.raises(BootstrapError) as caught:
        open_database(url=f"postgresql://app:hidden@127.0.0.1:{port}/app").engine  # noqa: B018 - raises
    text_of_it = str(caught.value)
    assert text_of_it.startswith(f"DATABASE_URL (postgresql://app:***@127.0.0.1:{port}/app): nothing listens")
    assert "fix: start it" in text_of_it
    assert "hidden" not in text_of_it + repr(caught.value)


def test_fallback_is_used_and_said(open_database: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fallback works, is one warning, and shows in result and ping."""
    database = open_database(
        url=f"postgresql://app@127.0.0.1:{free_port()}/app", fallback_url=f"sqlite:///{tmp_path}/fallback.db"
    )
    assert _number(database.engine, "SELECT 1") == 1
    assert database.result.fallback_used
    assert database.result.database_type is DatabaseType.SQLITE
    assert "nothing listens" in database.result.error_message
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == ["WARNING"]
    reading = database.ping(1.0)
    assert (reading.status, reading.code) == (HealthStatus.FALLBACK, "database-refused")


def test_reconnect_leaves_the_fallback(open_database: Open, tmp_path: Path, working_directory: Path) -> None:
    """Once DATABASE_URL can be opened, a reconnect gives its engine, and the followers and sessions follow."""
    folder = working_directory / "data"
    folder.write_text("in the way")
    database = open_database(url="sqlite:///data/app.db", fallback_url="sqlite:///fallback.db")
    earlier = database.engine
    assert database.result.fallback_used
    assert not database.reconnect().success
    assert database.engine is earlier
    folder.unlink()
    told: list[Engine] = []
    database.subscribe(told.append)
    assert database.reconnect().success
    assert told == [database.engine]
    assert database.engine is not earlier
    assert str(database.session.get_bind().engine.url).endswith("/data/app.db")
    database.remove_session()


def test_spare_engine_needs_no_place_in_the_pool(open_database: Open, each_url: str) -> None:
    """It answers while the one place is taken, keeps nothing afterwards, and is one engine, with our manners."""
    database = open_database(url=each_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    with database.engine.connect():
        assert _number(database.spare_engine, "SELECT 40 + 2") == 42
    assert database.spare_engine is database.spare_engine
    assert (database.spare_engine is database.engine) is (each_url == "sqlite:///:memory:")
    if database.engine.dialect.name == "sqlite":
        assert _number(database.spare_engine, "PRAGMA foreign_keys") == 1
    else:
        ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tests'"
        wait_until(lambda: _number(database.engine, ours) == 1, what="the connection to be closed")


def test_spare_engine_follows_a_reconnect_and_a_fork(open_database: Open, working_directory: Path) -> None:
    """It is on the database in use, as the engine is."""
    folder = working_directory / "data"
    folder.write_text("in the way")
    database = open_database(url="sqlite:///data/app.db", fallback_url="sqlite:///fallback.db")
    assert str(database.spare_engine.url).endswith("/fallback.db")
    folder.unlink()
    assert database.reconnect().success
    assert str(database.spare_engine.url).endswith("/data/app.db")
    child = os.fork()
    if child == 0:
        os._exit(0 if _number(database.spare_engine, "SELECT 42") == 42 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_follower_that_fails_does_not_stop_the_others(
    open_database: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failure is in the log, and the next one is told."""
    database = open_database(url=f"sqlite:///{tmp_path}/app.db")
    told: list[Engine] = []
    database.subscribe(lambda _engine: 1 / 0)
    database.subscribe(told.append)
    assert database.reconnect().success
    assert told == [database.engine]
    assert "ZeroDivisionError" in caplog.text


def test_limit_of_the_server_is_known(open_database: Open, postgres: PostgresServer, postgres_url: str) -> None:
    """What ordinary roles may have on PostgreSQL; nothing on SQLite."""
    most = int(str(postgres.query("SHOW max_connections")[0][0]))
    limit = open_database(url=postgres_url).max_connections()
    assert limit is not None
    assert 0 < limit < most
    assert open_database(url="sqlite://").max_connections() is None


def test_pool_figures_need_no_connection(open_database: Open, tmp_path: Path) -> None:
    """Empty before a connect and for memory; what is in use, idle and above the pool's size otherwise."""
    database = open_database(url=f"sqlite:///{tmp_path}/app.db", pool_size=1)
    assert database.pool_figures() == {}
    with database.engine.connect(), database.engine.connect():
        figures = database.pool_figures()
    assert (figures["pool_size"], figures["pool_in_use"], figures["pool_overflow"]) == (1, 2, 1)
    memory = open_database(url="sqlite://")
    memory.engine.connect().close()
    assert memory.pool_figures() == {}


def test_closed_manager_connects_again_when_used(open_database: Open, each_url: str) -> None:
    """Closing returns every connection, may be done twice, and is not the end of the object."""
    database = open_database(url=each_url)
    database.engine.connect().close()
    database.close()
    database.close()
    assert _number(database.engine, "SELECT 1") == 1


def test_configured_url_is_absolute_and_opens_nothing(open_database: Open, working_directory: Path) -> None:
    """The URL for Flask-SQLAlchemy is known without a connect."""
    database = open_database(url="sqlite:///app.db")
    assert database.configured_url() == f"sqlite+pysqlite:///{working_directory}/app.db"
    assert not list(working_directory.iterdir())
    assert open_database(url=None).configured_url() == ""


def test_read_only_database_is_told(open_database: Open, postgres: PostgresServer, postgres_url: str) -> None:
    """A server whose transactions are read-only takes no writes."""
    assert not open_database(url=postgres_url).is_read_only()
    name = postgres_url.rpartition("/")[2]
    postgres.query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert open_database(url=postgres_url).is_read_only()


def test_read_only_file_is_told(open_database: Open, tmp_path: Path) -> None:
    """A file that is opened by mode=ro takes no writes; memory and a plain file do."""
    assert not open_database(url=f"sqlite:///{tmp_path}/app.db").is_read_only()
    assert not open_database(url="sqlite://").is_read_only()
    database = open_database(url=f"sqlite:///{tmp_path}/app.db")
    database.engine.connect().close()
    assert open_database(url=f"sqlite:///file:{tmp_path}/app.db?uri=true&mode=ro").is_read_only()


def test_a_lost_connection_ends_without_an_error_of_its_rollback(
    open_database: Open, postgres: PostgresServer, postgres_url: str
) -> None:
    """A request whose answer is ready does not fail because its server went away before the end of the transaction."""
    database = open_database(url=postgres_url)
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    with database.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        postgres.query("SELECT pg_terminate_backend(%s)", pid)
        wait_until(lambda: postgres.query(alive, pid) == [(0,)], what="the end of the backend")
        connection.rollback()
    assert database.ping().status is HealthStatus.HEALTHY
