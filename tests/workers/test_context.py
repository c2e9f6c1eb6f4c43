"""Application contexts for work outside a request."""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import flask
import pytest
from flask import Flask
from sqlalchemy import text

from settings.workers.context import ApplicationContextManager
from settings.workers.diagnosis import ApplicationContextError, RequestContextError
from tests.workers.conftest import Open


def _name() -> str:
    return flask.current_app.name  # noqa: TID251 - what a job of an application would do


def _no_context() -> bool:
    return not flask.has_app_context()


def test_function_runs_in_a_context_of_its_own(context: ApplicationContextManager) -> None:
    """A wrapped function sees the application, and nothing is left behind."""
    wrapped = context.ensure_context(_name)
    assert wrapped() == "tests"
    assert wrapped.__name__ == "_name"
    assert _no_context()


def test_context_that_is_there_is_kept(app: Flask, context: ApplicationContextManager) -> None:
    """Inside a context of the same application no second one is pushed, so `g` is shared."""
    with app.app_context():
        flask.g.word = "here"
        assert context.run_with_context(lambda: flask.g.word) == "here"
        with context.ensure_context():
            assert flask.g.word == "here"
        assert flask.g.word == "here"


def test_block_is_entered_again_within_itself(context: ApplicationContextManager) -> None:
    """The inner one keeps the context, which is there until the outer one ends."""
    block = context.ensure_context()
    with block:
        with block:
            assert _name() == "tests"
        assert _name() == "tests"
    assert _no_context()


def test_threads_share_a_block(context: ApplicationContextManager) -> None:
    """Each thread has a context of its own, whoever leaves first, and none is left behind."""
    block, inside, left = context.ensure_context(), threading.Barrier(2), list[bool]()

    def work(number: int) -> None:
        inside.wait(5)
        with block:
            inside.wait(5)
            assert _name() == "tests"
            time.sleep(0.02 * number)
        left.append(_no_context())

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))
    assert left == [True, True]


def test_context_that_was_popped_is_not_kept(app: Flask) -> None:
    """A copy of the context variables outlives the context in them; what runs there gets its own, and is cleaned up."""
    seen: list[object] = []
    context = ApplicationContextManager(app, cleanup=lambda: seen.append(flask.globals._cv_app.get()))
    copied = context.run_with_context(contextvars.copy_context)
    assert copied.run(context.run_with_context, _name) == "tests"
    with context.ensure_context():
        pass
    assert len(set(map(id, seen))) == 3


def test_context_of_another_application_is_not_taken(context: ApplicationContextManager) -> None:
    """A context of another application does not count, and is there again afterwards."""
    other = Flask("other")
    with other.app_context():
        assert context.run_with_context(_name) == "tests"
        with context.ensure_context():
            assert _name() == "tests"
        assert _name() == "other"


def test_background_context_is_always_new(app: Flask, context: ApplicationContextManager) -> None:
    """`create_background_context` pushes one even where one is."""
    with app.app_context():
        flask.g.word = "outer"
        with context.create_background_context() as pushed:
            assert pushed.app is app
            assert "word" not in flask.g
        assert flask.g.word == "outer"


def test_background_context_is_not_entered_twice(context: ApplicationContextManager) -> None:
    """Entering one that is in use, or leaving one that is not, is an error that says what to do."""
    background = context.create_background_context()
    with background, pytest.raises(RuntimeError, match="create_background_context"):
        background.__enter__()
    with pytest.raises(RuntimeError, match="without having been entered"):
        background.__exit__(None, None, None)


def test_context_is_popped_and_cleaned_when_the_work_fails(app: Flask) -> None:
    """An exception passes through, the cleanup ran inside the context, the context is gone."""
    seen: list[str] = []
    context = ApplicationContextManager(app, cleanup=lambda: seen.append(_name()))
    with pytest.raises(ZeroDivisionError):
        context.run_with_context(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError), context.ensure_context():
        _ = 1 / 0
    assert seen == ["tests", "tests"]
    assert _no_context()


def test_failing_cleanup_is_logged_and_hides_nothing(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """The work's result is returned although its session could not be."""

    def cleanup() -> None:
        raise ConnectionError("gone")

    context = ApplicationContextManager(app, cleanup=cleanup)
    assert context.run_with_context(_name) == "tests"
    assert [each.getMessage() for each in caplog.records] == ["Returning the session of a background context failed"]
    assert _no_context()


class _Reports:
    """A class whose methods are wrapped in each way."""

    def __init__(self, context: ApplicationContextManager) -> None:
        self.bound = context.ensure_context(self.name)

    def name(self) -> str:
        return _name()

    def __call__(self) -> str:
        return _name()


def test_methods_are_wrapped_too(context: ApplicationContextManager) -> None:
    """Bound methods, functions in a class, static and class methods, and callable objects all get the context."""

    class Decorated:
        @context.ensure_context
        def plain(self) -> str:
            return _name()

        @context.ensure_context
        @staticmethod
        def static() -> str:
            return _name()

        @context.ensure_context
        @classmethod
        def of_class(cls) -> str:
            return cls.__name__ + _name()

    reports = _Reports(context)
    assert [reports.bound(), context.ensure_context(reports)()] == ["tests", "tests"]
    assert [Decorated().plain(), Decorated.static(), Decorated.of_class()] == ["tests", "tests", "Decoratedtests"]


def test_decorator_with_brackets(context: ApplicationContextManager) -> None:
    """`@ensure_context()` does what `@ensure_context` does."""
    assert context.ensure_context()(_name)() == "tests"


@pytest.mark.parametrize("wrong", [3, None])
def test_what_cannot_be_called_is_refused(context: ApplicationContextManager, wrong: object) -> None:
    """A thing that is no function is named in a TypeError."""
    if wrong is None:

        async def wrong() -> AsyncIterator[int]:
            yield 1

    with pytest.raises(TypeError, match=r"ensure_context needs a function, not 3|asynchronous generator"):
        context.ensure_context(wrong)  # type: ignore[call-overload] # the wrong use is the test


def test_request_in_the_background_is_told_what_to_do(context: ApplicationContextManager) -> None:
    """Using `request` raises an error that names the function and the way out, in each kind of function."""

    def nightly() -> str:
        return flask.request.path

    def steps() -> Iterator[str]:
        yield flask.request.path

    async def waiting() -> str:
        return flask.request.path

    with pytest.raises(RequestContextError, match=r"nightly\(\) runs outside any request.*as an argument"):
        context.run_with_context(nightly)
    with pytest.raises(RequestContextError, match=r"steps\(\)"):
        list(context.ensure_context(steps)())
    with pytest.raises(RequestContextError, match=r"waiting\(\)"):
        asyncio.run(context.ensure_context(waiting)())


def test_url_outside_a_request_is_told_what_to_do(context: ApplicationContextManager) -> None:
    """`url_for` without SERVER_NAME names SERVER_NAME as the fix."""
    with pytest.raises(RequestContextError, match="SERVER_NAME"):
        context.run_with_context(lambda: flask.url_for("static", filename="a.css"))


def test_thread_without_context_is_told_what_to_do(context: ApplicationContextManager) -> None:
    """Work that a job hands to another thread does not inherit the context; the error says how to wrap it."""

    def spread() -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_name).result()

    with pytest.raises(ApplicationContextError, match=r"spread\(\).*ensure_context"):
        context.run_with_context(spread)


def test_other_runtime_errors_pass_unchanged(context: ApplicationContextManager) -> None:
    """A RuntimeError that is not about contexts stays what it is."""

    def work() -> None:
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match=r"^of its own$"):
        context.run_with_context(work)


def _many_runs(open_database: Open, runs: int, threads: int) -> None:
    database, app = open_database(), Flask("tests")
    context = ApplicationContextManager(app, cleanup=database.remove_session)
    left: list[bool] = []

    def work(number: int) -> int:
        value = int(database.session.execute(text(f"SELECT {number}")).scalar_one())
        if number % 10 == 0:
            raise KeyError(number)
        return value

    def run(number: int) -> int:
        try:
            return context.run_with_context(work, number)
        except KeyError:
            return 0
        finally:
            left.append(flask.has_app_context())

    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(run, range(runs)))
    assert total == sum(n for n in range(runs) if n % 10)
    assert (len(left), any(left)) == (runs, False)
    assert database.pool_figures()["pool_in_use"] == 0


def test_thousand_runs_with_eight_threads_leave_nothing(open_database: Open, caplog: pytest.LogCaptureFixture) -> None:
    """After 1,000 runs, a tenth of which fail, no context and no connection is left, and nothing was logged."""
    caplog.set_level(logging.WARNING)
    _many_runs(open_database, 1000, 8)
    assert caplog.records == []


def test_context_does_not_cross_threads(context: ApplicationContextManager) -> None:
    """A thread that is started inside a context has none of its own."""
    seen: list[bool] = []
    with context.create_background_context():
        thread = threading.Thread(target=lambda: seen.append(_no_context()))
        thread.start()
        thread.join()
    assert seen == [True]
