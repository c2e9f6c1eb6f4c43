"""What people are told of a repeated error, whichever way it came."""

import logging

from settings.logs.about import Call, Describer
from settings.logs.limiter import About
from settings.logs.masking import Masker

describe = Describer(Masker(["hunter2"]))


def test_a_call_without_an_exception() -> None:
    """Its text, masked and in one line, and its place."""
    assert describe(Call("a.py", 7, "no\nhunter2", None)) == About(r"no\n***", "a.py:7", "ERROR")


def test_an_exception_comes_first_and_has_its_own_place() -> None:
    """Type and text of the exception, then the record's text; the line that raised."""
    try:
        raise ValueError("boom")
    except ValueError as error:
        found = describe(Call("a.py", 7, "failed", error))
    assert found.example == "ValueError: boom (failed)"
    assert found.where.startswith(__file__)


def test_an_exception_that_was_never_raised_is_placed_by_its_call() -> None:
    """Without a traceback the place is that of the call."""
    assert describe(Call("a.py", 7, "failed", ValueError("boom"))).where == "a.py:7"


def test_a_record_of_the_standard_library() -> None:
    """Its level and place are its own."""
    record = logging.LogRecord("t", logging.WARNING, "b.py", 8, "slow %s", ("disk",), None)
    assert describe(record) == About("slow disk", "b.py:8", "WARNING")


def test_an_example_is_short() -> None:
    """Megabytes of text are not kept."""
    assert len(describe(Call("a.py", 7, "x" * 10_000, None)).example) == 300
