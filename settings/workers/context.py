"""Application contexts for work outside a request: threads, executors, jobs, Celery tasks."""

import functools
import inspect
import logging
from collections.abc import Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast, overload

from flask import Flask
from flask.ctx import AppContext

# The context variable itself, which a test guards: Flask's public proxies cost three times as much to read, and
# where a context is there already, this wrapper may cost only 0.15 of pushing one.
from flask.globals import _cv_app

from settings.workers.diagnosis import explained, name_of
from settings.workers.generators import GeneratorContext, steps_of

logger = logging.getLogger(__name__)

_PUSHED = "_cv_tokens"
"""Flask's note of how often a context is pushed. A copy of the context variables (an asyncio task, copy_context) may
hold one that was popped since; nobody would return the session of what runs in that."""

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
Cleanup = Callable[[], None]


def _run_cleanup(cleanup: Cleanup) -> None:
    try:
        cleanup()
    except Exception:  # the context must still be popped, and the work itself is done
        logger.exception("Returning the session of a background context failed")


class BackgroundContext:
    """A new application context for one `with` block: popped at its end, its session returned, whatever happens.

    Not to be entered twice at a time; ask the manager for another one.
    """

    __slots__ = ("_app", "_cleanup", "_context")

    def __init__(self, app: Flask, cleanup: Cleanup | None) -> None:
        self._app, self._cleanup = app, cleanup
        self._context: AppContext | None = None

    def __enter__(self) -> AppContext:
        if self._context is not None:
            raise RuntimeError("this background context is in use; call create_background_context() for another one")
        context = self._app.app_context()
        context.push()
        self._context = context
        return context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        context, self._context = self._context, None
        if context is None:
            raise RuntimeError("this background context was left without having been entered")
        try:
            if self._cleanup is not None:
                _run_cleanup(self._cleanup)
        finally:
            context.pop(error)


class EnsuredContext:
    """`with context.ensure_context():` keeps the application's context that is there, or pushes one for the block.

    May be entered again within itself, and by several threads at a time: it keeps nothing of its own.
    """

    __slots__ = ("_manager",)

    def __init__(self, manager: "ApplicationContextManager") -> None:
        self._manager = manager

    def __call__(self, function: F) -> F:
        """Return `function` made to run in an application context, so that `@ensure_context()` works too."""
        return self._manager.ensure_context(function)

    def __enter__(self) -> None:
        fresh, entered = None, self._manager.entered
        if not self._manager.is_active():
            fresh = self._manager.create_background_context()
            fresh.__enter__()
        entered.set((*entered.get(), fresh))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entered = self._manager.entered
        *outer, fresh = entered.get()
        entered.set(tuple(outer))
        if fresh is not None:
            fresh.__exit__(kind, error, trace)


class ApplicationContextManager:
    """Gives work outside a request the application context of one app; safe to use from any thread.

    Args:
        app: The application.
        cleanup: Called inside each context that this manager pushed, before it is popped; returns the session
            to its pool. Its failure is logged and never hides the work's own result.

    Attributes:
        entered: The `with` blocks that are open here, each with the context that it pushed, or None.
    """

    def __init__(self, app: Flask, *, cleanup: Cleanup | None = None) -> None:
        self._app, self._cleanup = app, cleanup
        self.entered: ContextVar[tuple[BackgroundContext | None, ...]] = ContextVar("entered", default=())

    def is_active(self) -> bool:
        """Say whether a context of this very application is there already."""
        here = _cv_app.get(None)
        return here is not None and here.app is self._app and bool(getattr(here, _PUSHED, True))

    def create_background_context(self) -> BackgroundContext:
        """Return a context manager that always pushes a new context and always pops it."""
        return BackgroundContext(self._app, self._cleanup)

    def run_with_context(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in the context that is there, or in a new one, and return what it returns.

        Raises:
            RequestContextError: The function used `request`, `session` or the like.
        """
        return self.ensure_context(function)(*args, **kwargs)

    @overload
    def ensure_context(self, function: None = None) -> EnsuredContext: ...
    @overload
    def ensure_context(self, function: F) -> F: ...
    def ensure_context(self, function: F | None = None) -> F | EnsuredContext:
        """Return `function` made to run in an application context; without a function, a `with` block of the same.

        A context of the same app that is there is kept; otherwise a new one is pushed for each call and always
        popped. Works for functions, methods (static and class methods too), generators and coroutine functions.
        A generator has one context for its whole life, seen by its body and never by the code that reads it, in
        whatever thread.

        Raises:
            TypeError: `function` cannot be called, or is an asynchronous generator.
        """
        if function is None:
            return EnsuredContext(self)
        if isinstance(function, staticmethod | classmethod):
            return cast("F", type(function)(self.ensure_context(function.__func__)))
        if not callable(function):
            raise TypeError(f"ensure_context needs a function, not {function!r}")
        return cast("F", functools.wraps(function, updated=())(self._wrapper(function)))

    def _wrapper(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if _answers(inspect.iscoroutinefunction, function):
            return self._wrap_coroutine(function)
        if _answers(inspect.isasyncgenfunction, function):
            raise TypeError(
                f"{name_of(function)} is an asynchronous generator; use create_background_context() inside it"
            )
        if _answers(inspect.isgeneratorfunction, function):
            return self._wrap_generator(function)
        return self._wrap_function(function)

    def _wrap_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        app, cleanup, current = self._app, self._cleanup, _cv_app.get

        def run(*args: object, **kwargs: object) -> object:
            here = current(None)
            try:
                if here is not None and here.app is app and getattr(here, _PUSHED, True):
                    return function(*args, **kwargs)
                with app.app_context():
                    try:
                        return function(*args, **kwargs)
                    finally:
                        if cleanup is not None:
                            _run_cleanup(cleanup)
            except RuntimeError as error:
                if (better := explained(error, function)) is None:
                    raise
                raise better from error

        return run

    def _wrap_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: object, **kwargs: object) -> object:
            try:
                with EnsuredContext(self):
                    return await function(*args, **kwargs)
            except RuntimeError as error:
                if (better := explained(error, function)) is None:
                    raise
                raise better from error

        return run

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: object, **kwargs: object) -> Generator[object, object, object]:
            context = GeneratorContext(function, self.is_active, self.create_background_context)
            try:
                return (yield from steps_of(function(*args, **kwargs), context.step))
            finally:
                context.close()

        return run


def _answers(test: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Apply one of inspect's tests to a function, or to the `__call__` of an object that is none."""
    return test(function) or (not inspect.isroutine(function) and test(type(function).__call__))
