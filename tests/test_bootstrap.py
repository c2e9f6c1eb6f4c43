"""bootstrap(): one call, in order, with everything closed again when a step fails."""

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from flask import Flask
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from sqlalchemy import Column, Integer, MetaData, Table, inspect, text

import bootstrap as module
from bootstrap import STEPS, Services, bootstrap, create_app
from settings import BootstrapError, RoomSettings, SettingsError, load_settings
from settings.boot.lifecycle import Lifecycle
from settings.boot.report import Outcome
from settings.boot.services import Boot
from settings.probe import HealthStatus
from tests.running import run
from tests.servers import PostgresServer


class BillingSettings(RoomSettings):
    """Invoices."""

    model_config = SettingsConfigDict(env_prefix="BILLING_")
    days: int = Field(30, ge=1, description="days until an invoice is due")


@pytest.fixture
def services(working_directory: Path) -> Iterator[Services]:
    """The services of an empty application on SQLite."""
    with bootstrap(Flask(__name__)) as services:
        yield services


def test_every_step_has_its_row_in_order(services: Services) -> None:
    """The report tells what each step chose."""
    assert [row.name for row in services.report.rows] == [name for name, _ in STEPS]
    assert [name for name, _ in STEPS] == [
        "settings", "logs", "database", "migrations", "cache", "websocket", "workers", "status",
    ]  # fmt: skip
    assert {row.status for row in services.report.rows} == {"ok", "disabled"}


def test_the_contract_names_are_there(services: Services) -> None:
    """Everything that the contract promises of Services is an attribute of it."""
    names = ["app", "settings", "engine", "database", "cache", "websocket", "context", "workers", "health", "alerts",
             "logs", "errors", "celery", "report"]  # fmt: skip
    assert [name for name in names if not hasattr(services, name)] == []


def test_a_second_call_returns_the_same_services(services: Services) -> None:
    """One application is booted once."""
    assert bootstrap(services.app) is services
    assert services.app.extensions["bootstrap"] is services


def test_engine_follows_a_reconnect(services: Services, postgres_url: str) -> None:
    """`services.engine` is what the database uses now."""
    with services.engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert services.engine is services.database.engine


def test_close_may_be_called_again(working_directory: Path) -> None:
    """Once or many times."""
    services = bootstrap(Flask(__name__))
    services.close()
    services.close()
    assert services.lifecycle.shutting_down


def test_a_failing_step_closes_what_was_begun(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The closers of the steps before have run when the error arrives."""
    closed: list[str] = []

    def begin(boot: Boot) -> object:
        boot.closers.add("begun", lambda: closed.append("begun"))
        return Outcome("ok", "begun")

    def fail(_boot: Boot) -> object:
        raise LookupError("the second step")

    monkeypatch.setattr(module, "STEPS", (("first", begin), ("second", fail)))
    app = Flask(__name__)
    with pytest.raises(LookupError):
        bootstrap(app)
    assert closed == ["begun"]
    assert "bootstrap" not in app.extensions


def test_a_start_that_fails_is_a_boot_that_failed(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is closed, and the next boot of the application does not take this one for done."""

    def refuse(_lifecycle: Lifecycle) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Lifecycle, "start", refuse)
    app = Flask(__name__)
    with pytest.raises(RuntimeError):
        bootstrap(app, start=True)
    assert "bootstrap" not in app.extensions


def test_wrong_settings_are_catchable(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may catch the SettingsError with every problem in it."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "many")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(SettingsError) as caught:
        bootstrap(Flask(__name__))
    assert {problem.variable for problem in caught.value.problems} == {"DATABASE_POOL_SIZE", "LOG_LEVEL"}


def test_an_unreachable_database_without_fallback_stops_the_boot(working_directory: Path) -> None:
    """The error names variable, masked target, cause and fix."""
    url = "postgresql://app:hidden@127.0.0.1:1/app"
    environ = {"APP_ENV": "production", "DATABASE_URL": url, "DATABASE_WAIT": "0"}
    with pytest.raises(BootstrapError, match="DATABASE_URL") as caught:
        bootstrap(Flask(__name__), settings=load_settings(environ))
    assert "hidden" not in str(caught.value) + repr(caught.value)
    assert not list(working_directory.glob("*.db"))


def test_the_applications_tables_and_settings_join(working_directory: Path) -> None:
    """Missing tables are made; a model of the application's own is loaded beside ours."""
    metadata = MetaData()
    Table("baskets", metadata, Column("id", Integer, primary_key=True))
    with bootstrap(Flask(__name__), settings=BillingSettings, metadata=metadata) as services:
        assert "baskets" in inspect(services.engine).get_table_names()
        assert services.settings.of(BillingSettings).days == 30


def test_what_is_no_settings_is_refused(working_directory: Path) -> None:
    """A wrong argument is the caller's mistake, said at once."""
    with pytest.raises(TypeError, match="RoomSettings"):
        bootstrap(Flask(__name__), settings=[int])  # type: ignore[list-item] # the mistake


def test_the_applications_own_configuration_stays(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application has set itself is not overwritten; what it left out comes from the environment."""
    monkeypatch.setenv("APP_SECRET_KEY", "from-the-environment")
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///its-own.db"
    with bootstrap(app):
        assert app.config["SQLALCHEMY_DATABASE_URI"] == "sqlite:///its-own.db"
        assert app.config["SECRET_KEY"] == "from-the-environment"


def test_create_app_makes_an_application_of_its_own(working_directory: Path) -> None:
    """The factory's application leads from / to the status page."""
    app = create_app()
    try:
        answer = app.test_client().get("/")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/status")
        mounted = app.test_client().get("/", environ_overrides={"SCRIPT_NAME": "/shop"})
        assert mounted.headers["Location"] == "/shop/status"
        misled = app.test_client().get("/", environ_overrides={"SCRIPT_NAME": "//evil.example"})
        assert misled.headers["Location"] == "/evil.example/status"
    finally:
        app.extensions["bootstrap"].close()


def test_a_request_has_an_id_and_is_counted_by_endpoint(services: Services) -> None:
    """The id that came in goes out, and the monitor knows the endpoint."""
    services.app.add_url_rule("/prices", "prices", lambda: "3")
    answer = services.app.test_client().get("/prices", headers={"X-Request-ID": "abc-1"})
    assert answer.headers["X-Request-ID"] == "abc-1"
    assert services.performance.figures()["requests"] == 1


def test_an_exception_that_leaves_the_block_shows_no_secret(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python prints it when everything is closed; one that is caught outside is in no log."""
    monkeypatch.setenv("WS_TOKEN", "hunter2-and-more")
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    with pytest.raises(RuntimeError) as raised, bootstrap(Flask(__name__)):
        raise RuntimeError("bad token hunter2-and-more")
    assert "RuntimeError" not in "".join(capsys.readouterr())
    sys.excepthook(raised.type, raised.value, raised.tb)
    shown = capsys.readouterr().err
    assert shown.endswith("RuntimeError: bad token ***\n")
    assert "hunter2" not in shown


def test_a_closed_standard_output_ends_no_boot(tmp_path: Path) -> None:
    """The service goes on where nobody reads what it says, or the disk behind it is full.

    At its end Python itself says 120 then, when it still holds lines; without a buffer it has none.
    """
    program = 'import sys; from bootstrap import bootstrap; bootstrap().close(); print("went on", file=sys.stderr)'
    for redirection, held in product((">&-", ">/dev/full"), ("", "1")):
        command = f"{sys.executable} -c '{program}' {redirection}"
        done = run(["bash", "-c", command], tmp_path, LOG_FORMAT="text", PYTHONUNBUFFERED=held)
        assert done.returncode == (120 if redirection == ">/dev/full" and not held else 0), done.stderr
        assert "went on" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_probe_is_counted_under_its_own_name_and_raises_no_alert(services: Services) -> None:
    """The monitor of the application's endpoints leaves ours out."""
    client = services.app.test_client()
    client.get("/livez")
    client.get("/readyz")
    assert services.performance.figures()["requests"] == 0


def test_a_reconnect_migrates_what_it_found(tmp_path: Path, own_postgres: PostgresServer) -> None:
    """Back from the fallback, the configured database gets its tables, and the service is ready."""
    url = own_postgres.new_database()
    own_postgres.kill()
    settings = load_settings(
        {"DATABASE_URL": url, "DATABASE_WAIT": "0", "DATABASE_FALLBACK_URL": f"sqlite:///{tmp_path / 'b.db'}"}
    )
    with bootstrap(Flask(__name__), settings=settings) as services:
        assert services.database.result.fallback_used
        own_postgres.start()
        assert services.database.reconnect().success
        assert services.engine.dialect.name == "postgresql"
        assert services.migrations.reading().status is HealthStatus.HEALTHY


def test_the_report_is_a_sequence_of_rows(services: Services) -> None:
    """A row a step."""
    assert len(services.report) == len(STEPS)
    assert [row.name for row in services.report] == [name for name, _ in STEPS]
