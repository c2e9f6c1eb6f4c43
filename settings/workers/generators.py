"""Contexts of generators: one for a generator's whole life, never seen by the code that reads it."""

import contextvars
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

from settings.workers.diagnosis import explained

Context = AbstractContextManager[object]


class GeneratorContext:
    """Where the steps of one generator run: in the caller's context of the app, or in one of the generator's own.

    The own context lives in a copy of the caller's context variables, so that neither the caller nor another
    thread that takes the next step ever sees it.

    Args:
        function: The generator function, for messages.
        is_active: Says whether the caller has a context of the app.
        create: Makes a new context.
    """

    __slots__ = ("_create", "_fresh", "_function", "_is_active", "_variables")

    def __init__(
        self, function: Callable[..., Any], is_active: Callable[[], bool], create: Callable[[], Context]
    ) -> None:
        self._function, self._is_active, self._create = function, is_active, create
        self._variables: contextvars.Context | None = None
        self._fresh: Context | None = None

    def step(self, advance: Callable[..., Any], *values: object) -> object:
        """Return what `advance(*values)` returns, called where this generator lives."""
        try:
            if self._fresh is None and self._is_active():
                return advance(*values)
            return self._own().run(advance, *values)
        except RuntimeError as error:
            if (better := explained(error, self._function)) is None:
                raise
            raise better from error

    def _own(self) -> contextvars.Context:
        if self._variables is None:
            fresh, self._variables = self._create(), contextvars.copy_context()
            self._variables.run(fresh.__enter__)
            self._fresh = fresh
        return self._variables

    def close(self) -> None:
        """Pop the generator's own context, if it ever had one."""
        if self._variables is not None and self._fresh is not None:
            self._variables.run(self._fresh.__exit__, None, None, None)


def steps_of(
    generator: Generator[object, object, object], step: Callable[..., object]
) -> Generator[object, object, object]:
    """Delegate to `generator` as `yield from` does (PEP 380), taking each of its steps through `step`."""
    advance: Callable[..., object] = generator.send
    values: tuple[object, ...] = (None,)
    while True:
        try:
            item = step(advance, *values)
        except StopIteration as stop:
            return stop.value
        try:
            values, advance = ((yield item),), generator.send
        except GeneratorExit:
            step(generator.close)
            raise
        except BaseException as error:  # noqa: BLE001 - what the reader throws in belongs to the generator
            values, advance = (error,), generator.throw
