"""Contexts of what runs in steps: generators and coroutines."""

import asyncio
from collections.abc import Generator, Iterator

import flask
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from settings.workers.context import ApplicationContextManager


def _name() -> str:
    return flask.current_app.name  # noqa: TID251 - what a job of an application would do


def test_generator_has_one_context_that_its_reader_never_sees(context: ApplicationContextManager) -> None:
    """Its steps share `g`; between them, and after it was closed early, the reader has no context."""

    @context.ensure_context
    def numbers() -> Iterator[int]:
        flask.g.number = 0
        while True:
            flask.g.number += 1
            yield flask.g.number

    reading = numbers()
    assert (next(reading), next(reading)) == (1, 2)
    assert not flask.has_app_context()
    reading.close()  # type: ignore[attr-defined] # annotated as the iterator that its readers need
    assert not flask.has_app_context()


@given(st.lists(st.integers() | st.none()), st.integers())
def test_generator_keeps_its_protocol(sent: list[int | None], result: int) -> None:
    """What is sent in, thrown in and returned is what a bare generator would have seen."""
    context = ApplicationContextManager(Flask("tests"))

    def echo() -> Generator[object, object, object]:
        seen: list[object] = []
        for _ in range(len(sent) + 1):
            try:
                seen.append((yield len(seen)))
            except KeyError as error:
                seen.append(error.args)
        return (seen, result)

    def drive(generator: Generator[object, object, object]) -> list[object]:
        heard: list[object] = [next(generator)]
        try:
            heard += [generator.throw(KeyError(0)) if each is None else generator.send(each) for each in sent]
            next(generator)
        except StopIteration as stop:
            heard.append(stop.value)
        return heard

    assert drive(context.ensure_context(echo)()) == drive(echo())


def test_generator_that_raises_leaves_no_context(app: Flask) -> None:
    """Whether it fails by itself or by what its reader throws in, its context is popped and its session returned."""
    cleaned: list[str] = []
    context = ApplicationContextManager(app, cleanup=lambda: cleaned.append(_name()))

    @context.ensure_context
    def fragile() -> Generator[str, None, None]:
        yield _name()
        raise KeyError("of its own")

    with pytest.raises(KeyError, match="of its own"):
        list(fragile())
    reading = fragile()
    next(reading)
    with pytest.raises(ValueError, match="thrown"):
        reading.throw(ValueError("thrown in"))
    assert cleaned == ["tests", "tests"]
    assert not flask.has_app_context()


def test_generators_of_two_applications_are_nested(context: ApplicationContextManager) -> None:
    """Each sees its own application, also where one delegates to the other."""
    other = ApplicationContextManager(Flask("other"))

    @other.ensure_context
    def inner() -> Iterator[str]:
        yield _name()

    @context.ensure_context
    def outer() -> Iterator[str]:
        yield _name()
        yield from inner()
        yield _name()

    assert list(outer()) == ["tests", "other", "tests"]
    assert not flask.has_app_context()


def test_coroutine_function(context: ApplicationContextManager) -> None:
    """A coroutine function has the context while it is awaited."""

    async def name() -> str:
        await asyncio.sleep(0)
        return _name()

    assert asyncio.run(context.ensure_context(name)()) == "tests"


def test_task_that_outlives_its_starter_has_a_context_of_its_own(app: Flask) -> None:
    """A coroutine that another one started and did not wait for is cleaned up by itself."""
    cleaned: list[int] = []
    context = ApplicationContextManager(app, cleanup=lambda: cleaned.append(1))

    @context.ensure_context
    async def child() -> str:
        return _name()

    @context.ensure_context
    async def starter() -> "asyncio.Task[str]":
        return asyncio.create_task(child())

    async def main() -> str:
        return await (await starter())

    assert (asyncio.run(main()), len(cleaned)) == ("tests", 2)
