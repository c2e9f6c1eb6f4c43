"""Each session is returned: a context's at its end, and what a response used outside of any when it is closed."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response
from sqlalchemy import text
from sqlalchemy.orm import Session

from bootstrap import Services, bootstrap


@pytest.fixture
def app() -> Flask:
    """An application that a test may give hooks of its own before it is booted."""
    return Flask(__name__)


@pytest.fixture
def services(app: Flask, working_directory: Path) -> Iterator[Services]:
    """The booted application's services, with a table of numbers in a file."""
    with bootstrap(app, start=False) as made:
        with made.database.session_scope() as session:
            session.execute(text("CREATE TABLE t (id INTEGER)"))
        yield made


def _insert(services: Services) -> None:
    with services.database.session_scope() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))


def _count(session: Session) -> str:
    return str(session.execute(text("SELECT count(*) FROM t")).scalar_one())


def _in_use(services: Services) -> object:
    return services.database.pool_figures()["pool_in_use"]


def test_context_that_was_never_popped_leaves_nothing(app: Flask, services: Services) -> None:
    """A thread that pushes a context, writes and ends: no later context commits that, and the connection is back."""

    def work() -> None:
        app.app_context().push()
        services.database.session.execute(text("INSERT INTO t VALUES (1)"))

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        del thread
        gc.collect()
        with app.app_context(), services.database.session() as later:
            assert _count(later) == "0"
        assert _in_use(services) == 0
    with services.database.session_scope() as session:
        assert _count(session) == "0"


def test_stream_returns_its_session_when_it_is_closed(app: Flask, services: Services) -> None:
    """Without stream_with_context there is no context any more: the next stream of the thread sees what is new."""

    @app.get("/stream")
    def stream() -> Response:
        return Response(_count(services.database.session()) for _ in range(1))

    client = app.test_client()
    for seen in ("0", "1"):
        with client.get("/stream") as response:
            assert response.get_data(as_text=True) == seen
        assert _in_use(services) == 0
        _insert(services)


def test_what_runs_after_a_response_returns_its_session(app: Flask, services: Services) -> None:
    """`call_on_close` runs outside of any context, too."""

    @app.get("/later")
    def later() -> Response:
        response = Response("now")
        response.call_on_close(lambda: services.database.session.execute(text("SELECT 1")))
        return response

    with app.test_client().get("/later") as response:
        assert response.get_data(as_text=True) == "now"
    assert _in_use(services) == 0


def test_session_of_the_calling_thread_stays(app: Flask, services: Services) -> None:
    """A thread's own session, as a test has it, is not ended by a request that it makes."""
    app.add_url_rule("/", "index", lambda: "ok")
    services.database.session.execute(text("INSERT INTO t VALUES (1)"))
    with app.test_client().get("/") as response:
        assert response.get_data(as_text=True) == "ok"
    services.database.session.commit()
    services.database.remove_session()
    with services.database.session_scope() as session:
        assert _count(session) == "1"


def test_teardown_registered_before_the_boot_may_use_a_session(app: Flask, working_directory: Path) -> None:
    """Ours returns the session after all the application's own, whenever those were registered."""

    @app.teardown_appcontext
    def early(_error: BaseException | None) -> None:
        app.extensions["bootstrap"].database.session.execute(text("SELECT 1"))

    app.add_url_rule("/", "index", lambda: "ok")
    with bootstrap(app, start=False) as services:
        assert app.test_client().get("/").text == "ok"
        assert _in_use(services) == 0
        assert not services.database.session.registry.registry
