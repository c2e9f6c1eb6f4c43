"""Sessions: one for each scope, ended with it, and none of a thread that is gone."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.pool import QueuePool

from settings.database.sessions import Sessions, UnitOfWork


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with a pool whose use can be counted."""
    made = create_engine("sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False})
    yield made
    made.dispose()


class _Context:
    """What a scope returns: an object that can be held weakly."""


def _in_use(engine: Engine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


def test_scope_decides_which_session_is_meant(engine: Engine) -> None:
    """The same context, the same session; another one, another; each is removed alone."""
    contexts = [_Context(), _Context()]
    running = contexts[0]
    sessions = Sessions(lambda: engine, scope=lambda: running)
    first = sessions.scoped()
    running = contexts[1]
    assert sessions.scoped() is not first
    assert sessions.remove()
    assert not sessions.remove()
    running = contexts[0]
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


@pytest.mark.parametrize("meet", [Sessions.new, Sessions.remove])
def test_context_that_dies_leaves_its_session_to_nobody(
    meet: Callable[[Sessions], object], engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A new context, which may have the number of a dead one, inherits nothing; the next who comes takes it back."""
    running: list[_Context] = [_Context()]
    sessions = Sessions(lambda: engine, scope=lambda: running[0])
    left = sessions.scoped()
    left.execute(text("SELECT 1"))
    running[0] = _Context()
    assert (sessions.scoped.registry.has(), left.in_transaction(), _in_use(engine)) == (False, True, 1)
    meet(sessions)
    assert (left.in_transaction(), _in_use(engine), sessions.abandoned) == (False, 0, 1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_threads_that_meet_the_same_dead_ones_do_not_fail(engine: Engine) -> None:
    """Each takes back what is left, and what another took first is no error."""
    sessions, together = Sessions(lambda: engine), threading.Barrier(4)
    key = threading.Thread(target=sessions.scoped)
    key.start()
    key.join()

    class Slow(dict):  # type: ignore[type-arg] # only its `copy` matters
        def copy(self) -> dict[object, object]:
            found = super().copy()
            together.wait(10)
            return found

    sessions.scoped.registry.registry = Slow(sessions.scoped.registry.registry)
    with ThreadPoolExecutor(4) as threads:
        made = [each.result(10) for each in [threads.submit(sessions.new) for _ in range(4)]]
    assert len(set(made)) == 4
    assert not sessions.scoped.registry.registry


def test_session_of_the_thread_is_removed_beside_that_of_a_context(engine: Engine) -> None:
    """What a thread uses outside of any context can be returned while another context runs."""
    running: _Context | None = None
    sessions = Sessions(lambda: engine, scope=lambda: running)
    sessions.scoped().execute(text("SELECT 1"))
    running = _Context()
    mine = sessions.scoped()
    assert sessions.has_of_thread()
    assert sessions.remove_of_thread()
    assert not sessions.has_of_thread()
    assert not sessions.remove_of_thread()
    assert _in_use(engine) == 0
    assert sessions.scoped() is mine


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


def _numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT id FROM t ORDER BY id")).scalars())


@pytest.fixture
def session(tmp_path: Path) -> Iterator[UnitOfWork]:
    """A session on a database with a table of numbers."""
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    yield UnitOfWork(engine)
    engine.dispose()


def _insert(session: UnitOfWork, number: int) -> None:
    session.execute(text("INSERT INTO t VALUES (:id)"), {"id": number})


def test_block_within_a_block_ends_with_the_outer_one(session: UnitOfWork) -> None:
    """The inner block neither commits nor returns; the outermost does both, for all."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    with session as outer:
        _insert(outer, 1)
        with session as inner:
            _insert(inner, 2)
        assert outer.in_transaction()
        assert _numbers(engine) == []
    assert _numbers(engine) == [1, 2]


def test_outer_block_that_fails_takes_the_inner_one_along(session: UnitOfWork) -> None:
    """What the inner block wrote is part of the outer work, and the next block is a new one."""

    def work() -> None:
        with session:
            with session:
                _insert(session, 1)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    with session:
        _insert(session, 2)
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    assert _numbers(engine) == [2]


def test_inner_block_that_failed_lets_nothing_be_committed(session: UnitOfWork) -> None:
    """Half of the work is no work, also where its error was caught; the error says how to go on."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)

    def work() -> None:
        with session:
            with suppress(KeyError), session:
                _insert(session, 1)
                raise KeyError
            _insert(session, 2)

    with pytest.raises(PendingRollbackError, match=r"Fix: .* rollback\(\)"):
        work()
    assert (_numbers(engine), session.in_transaction()) == ([], False)
    with session:
        _insert(session, 3)
    assert _numbers(engine) == [3]


def test_rollback_after_a_failed_inner_block_begins_anew(session: UnitOfWork) -> None:
    """Who says `rollback()` knows that the earlier work is gone."""
    with session:
        with suppress(KeyError), session:
            _insert(session, 1)
            raise KeyError
        session.rollback()
        _insert(session, 2)
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    assert _numbers(engine) == [2]
