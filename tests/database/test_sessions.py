"""Sessions: one for each scope, ended with it, and none of a thread that is gone."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import QueuePool

from settings.database.sessions import Sessions, UnitOfWork


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with a pool whose use can be counted."""
    made = create_engine("sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False})
    yield made
    made.dispose()


def _in_use(engine: Engine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


def test_scope_decides_which_session_is_meant(engine: Engine) -> None:
    """The same key, the same session; another key, another one; each is removed alone."""
    key = ["a"]
    sessions = Sessions(lambda: engine, scope=lambda: key[0])
    first = sessions.scoped()
    key[0] = "b"
    assert sessions.scoped() is not first
    assert sessions.remove()
    assert not sessions.remove()
    key[0] = "a"
    assert sessions.scoped() is first


@pytest.mark.parametrize("scope", [None, lambda: None])
def test_without_a_context_each_thread_has_its_own(scope: object, engine: Engine) -> None:
    """No scope, or one that says None: the thread counts."""
    sessions = Sessions(lambda: engine, scope=scope)  # type: ignore[arg-type] # both of the parameters fit
    mine, others = sessions.scoped(), []
    thread = threading.Thread(target=lambda: others.append(sessions.scoped()))
    thread.start()
    thread.join()
    assert others[0] is not mine
    assert sessions.scoped() is mine


def test_session_of_a_thread_that_ended_gives_its_connection_back(engine: Engine) -> None:
    """The next new session takes the place of what nobody can remove any more."""
    sessions = Sessions(lambda: engine)
    thread = threading.Thread(target=lambda: sessions.scoped().execute(text("SELECT 1")))
    thread.start()
    thread.join()
    assert _in_use(engine) == 1
    sessions.scoped()
    assert _in_use(engine) == 0


def test_remove_never_connects() -> None:
    """Where no session was used, nothing is asked for an engine."""

    def never() -> Engine:
        raise AssertionError("an engine was asked for")

    assert not Sessions(never).remove()


def test_forgotten_sessions_are_not_closed(engine: Engine) -> None:
    """A child of a fork drops them, and their connections stay as they are."""
    sessions = Sessions(lambda: engine)
    session = sessions.scoped()
    session.execute(text("SELECT 1"))
    sessions.forget()
    assert not sessions.remove()
    assert session.in_transaction()
    assert sessions.scoped() is not session
    session.close()


def test_failed_commit_rolls_back_and_returns_the_connection(engine: Engine) -> None:
    """An error at the end of the block leaves nothing checked out."""

    class Failing(UnitOfWork):
        def commit(self) -> None:
            raise KeyError("the commit fails")

    with pytest.raises(KeyError), Failing(engine) as session:
        session.execute(text("SELECT 1"))
    assert _in_use(engine) == 0
