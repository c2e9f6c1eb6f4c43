"""The database as an application meets it: forked servers, a late PostgreSQL, and Flask-SQLAlchemy beside it."""

import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect, text

from bootstrap import Services, bootstrap
from settings.probe import HealthStatus
from settings.problems import BootstrapError
from tests.running import Running, gunicorn, serving
from tests.servers import PostgresServer, free_port, wait_until

WSGI = """
import os

from flask import Flask, jsonify
from sqlalchemy import text

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)
BOOTED = os.getpid()


@app.get("/answers/<int:n>")
def work(n):
    row = services.database.session.execute(text("SELECT :n, pg_backend_pid()"), {"n": n}).one()
    with services.engine.connect() as connection:
        other = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return jsonify(answer=row[0], backends=[row[1], other], process=os.getpid(), booted=BOOTED)
"""
QUIET = {"LOG_LEVEL": "WARNING", "WORKERS_ENABLED": "false"}


def _backends(server: PostgresServer, name: str) -> set[int]:
    rows = server.query("SELECT pid FROM pg_stat_activity WHERE application_name = %s", name)
    return {int(str(pid)) for (pid,) in rows}


def _hammer(service: Running, requests: int) -> tuple[dict[int, set[int]], set[int]]:
    """Send the requests, 16 at a time; return the backends of each process, and where the boot was."""
    backends: defaultdict[int, set[int]] = defaultdict(set)
    booted: set[int] = set()
    lock = threading.Lock()

    def one(n: int) -> None:
        found = service.ask(f"/answers/{n}", timeout=60)
        assert found.status == 200, found.text
        body = found.json()
        assert body["answer"] == n
        with lock:
            backends[body["process"]].update(body["backends"])
            booted.add(body["booted"])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(requests)))
    return backends, booted


@pytest.mark.parametrize("requests", [300, pytest.param(2000, marks=pytest.mark.full)])
def test_preloaded_workers_share_no_connection(
    requests: int, postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """`gunicorn --preload -w 4` under load: no error, and no backend of the server belongs to two processes."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    command = gunicorn("wsgi:app", "--preload", "-k", "gthread", "--threads", "4")
    with serving(command, tmp_path, DATABASE_URL=postgres_url, APP_NAME="forked", **QUIET) as service:
        by_process, booted = _hammer(service, requests)
        seen = _backends(postgres, "forked")
        assert booted == {service.pid}
        assert len(by_process) > 1
        assert service.pid not in by_process
    owners = [(backend, process) for process, backends in by_process.items() for backend in backends]
    assert len(owners) == len({backend for backend, _ in owners})
    assert seen & {backend for backend, _ in owners}
    wait_until(lambda: not _backends(postgres, "forked"), what="every connection to be returned")


@pytest.mark.parametrize("late_seconds", [1, pytest.param(10, marks=pytest.mark.full)])
def test_boot_waits_for_a_late_server(late_seconds: float, own_postgres: PostgresServer, tmp_path: Path) -> None:
    """PostgreSQL comes up after the application, which gets ready without a restart."""
    own_postgres.kill()
    (tmp_path / "wsgi.py").write_text(WSGI)
    timer = threading.Timer(late_seconds, own_postgres.start, kwargs={"wait": False})
    timer.start()
    variables = {"DATABASE_URL": own_postgres.url(), "DATABASE_WAIT": 60, "DATABASE_FALLBACK_URL": "", **QUIET}
    with serving(gunicorn("wsgi:app", workers=1), tmp_path, **variables) as service:
        wait_until(lambda: service.ask("/readyz").status == 200, what="the application to be ready")
        assert service.ask("/answers/7").json()["answer"] == 7
    timer.join()


@pytest.fixture
def services(
    request: pytest.FixtureRequest, working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """A bootstrapped application on the kind of database that the parameter names."""
    for name, value in _variables(request).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKERS_ENABLED", "false")
    with bootstrap(Flask(__name__), start=False) as made:
        yield made


def _variables(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "fallback":
        return {
            "DATABASE_URL": f"postgresql://app@127.0.0.1:{free_port()}/app",
            "DATABASE_WAIT": "0",
            "DATABASE_FALLBACK_URL": "sqlite:///fallback.db",
        }
    if request.param == "postgresql":
        return {"DATABASE_URL": str(request.getfixturevalue("postgres_url"))}
    return {"DATABASE_URL": "sqlite:///:memory:" if request.param == "memory" else "sqlite:///app.db"}


def _flask_sqlalchemy(app: Flask) -> tuple[SQLAlchemy, Any]:
    db = SQLAlchemy()

    class Note(db.Model):  # type: ignore[name-defined, misc] # made by Flask-SQLAlchemy at run time
        id = db.Column(db.Integer, primary_key=True)
        words = db.Column(db.String(50))

    db.init_app(app)
    return db, Note


@pytest.mark.parametrize("services", ["file", "memory", "postgresql", "fallback"], indirect=True)
def test_flask_sqlalchemy_and_our_engine_see_one_database(services: Services) -> None:
    """One writes and the other reads, both ways, on every kind of database and on the fallback."""
    db, note = _flask_sqlalchemy(services.app)
    with services.app.app_context():
        db.create_all()
        db.session.add(note(words="from theirs"))
        db.session.commit()
        with services.database.session() as session:
            assert session.scalars(text("SELECT words FROM note")).all() == ["from theirs"]
            session.execute(text("INSERT INTO note (id, words) VALUES (7, 'from ours')"))
        assert db.session.get_one(note, 7).words == "from ours"
        assert str(db.engine.url) == str(services.engine.url)


@pytest.mark.parametrize("services", ["file", "postgresql"], indirect=True)
def test_flask_sqlalchemy_that_worked_before_a_fork_works_after_it(services: Services) -> None:
    """`db.create_all()` in gunicorn's master under --preload does not leave its workers with a dead connection."""
    db, note = _flask_sqlalchemy(services.app)
    with services.app.app_context():
        db.create_all()
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(Exception), services.app.app_context():
            db.session.add(note(words="from a child"))
            db.session.commit()
            status = 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with services.app.app_context():
        assert db.session.scalars(db.select(note.words)).all() == ["from a child"]


@pytest.mark.parametrize("services", ["file"], indirect=True)
def test_flask_sqlalchemys_engine_has_the_manners_of_ours(services: Services) -> None:
    """Foreign keys are on, WAL is used, and DDL is atomic there too."""
    db, _ = _flask_sqlalchemy(services.app)
    with services.app.app_context(), db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        connection.execute(text("CREATE TABLE never (id INTEGER)"))
        connection.rollback()
        count = "SELECT count(*) FROM sqlite_master WHERE name = 'never'"
        assert connection.execute(text(count)).scalar_one() == 0


def test_flask_sqlalchemy_follows_a_reconnect(
    own_postgres: PostgresServer, working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fallback both engines go back to DATABASE_URL together: what one writes the other reads."""
    own_postgres.kill()
    variables = {"DATABASE_URL": own_postgres.url(), "DATABASE_WAIT": "0", "WORKERS_ENABLED": "false"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with bootstrap(Flask(__name__), start=False) as services:
        db, note = _flask_sqlalchemy(services.app)
        with services.app.app_context():
            assert db.engine.dialect.name == "sqlite"
        own_postgres.start()
        assert services.database.reconnect().success
        with services.app.app_context():
            db.create_all()
            db.session.add(note(words="from theirs"))
            db.session.commit()
            assert services.database.session.scalar(text("SELECT words FROM note")) == "from theirs"
            assert services.engine.dialect.name == "postgresql"
            theirs = db.engine
            assert services.database.reconnect().success
            assert db.engine is theirs


@pytest.mark.parametrize("kind", ["memory", "postgresql"])
def test_application_with_a_database_of_its_own_keeps_it(
    kind: str, request: pytest.FixtureRequest, working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its URL stays, and our options, which are for another database, are not given to it."""
    url = str(request.getfixturevalue("postgres_url")) if kind == "postgresql" else "sqlite://"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("WORKERS_ENABLED", "false")
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{working_directory}/own.db"
    db, _ = _flask_sqlalchemy(app)
    with bootstrap(app, start=False) as services, app.app_context():
        db.create_all()
        assert not inspect(services.engine).has_table("note")
        assert (working_directory / "own.db").stat().st_size > 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///app.db"])
def test_options_of_the_application_stay(url: str, working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are its own, and the database is still ours, in memory too."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("WORKERS_ENABLED", "false")
    app = Flask(__name__)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"logging_name": "theirs"}
    with bootstrap(app, start=False) as services, app.app_context():
        db, _ = _flask_sqlalchemy(app)
        db.create_all()
        assert db.engine.logging_name == "theirs"
        assert inspect(services.engine).has_table("note")


@pytest.mark.parametrize("services", ["file"], indirect=True)
def test_session_of_a_request_ends_with_it(services: Services) -> None:
    """What a request did not commit is rolled back at its teardown, and its connection is returned."""
    app, database = services.app, services.database

    @app.get("/forgets")
    def forgets() -> str:
        database.session.execute(text("CREATE TABLE forgotten (id INTEGER)"))
        return "done"

    assert app.test_client().get("/forgets").text == "done"
    assert database.pool_figures()["pool_in_use"] == 0
    with services.engine.connect() as connection:
        count = "SELECT count(*) FROM sqlite_master WHERE name = 'forgotten'"
        assert connection.execute(text(count)).scalar_one() == 0


@pytest.mark.parametrize("services", ["fallback"], indirect=True)
def test_fallback_is_seen_everywhere(services: Services) -> None:
    """Result, boot report, health and /readyz say it; the service is ready."""
    assert services.database.result.fallback_used
    assert {row.name: row.status for row in services.report.rows}["database"] == "fallback"
    wait_until(lambda: services.app.test_client().get("/readyz").status_code == 200)
    assert (services.app.test_client().get("/readyz").json or {})["status"] == "warn"
    assert services.health.check()["database"].status is HealthStatus.FALLBACK


def test_production_has_no_fallback_unless_set(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable database stops the boot with its diagnosis, and no file appears."""
    port = free_port()
    variables = {"APP_ENV": "production", "DATABASE_WAIT": "0", "LOG_LEVEL": "ERROR", "APP_NAME": "shop"}
    for name, value in {**variables, "DATABASE_URL": f"postgresql://app:hidden@127.0.0.1:{port}/app"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BootstrapError, match="nothing listens on that host and port") as caught:
        bootstrap(Flask(__name__), start=False)
    assert "hidden" not in str(caught.value) + repr(caught.value)
    assert not list(working_directory.iterdir())
