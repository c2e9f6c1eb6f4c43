"""What is logged after the last log was closed."""

import logging
import sys
from collections.abc import Callable

import pytest

from settings.logs.late import mask_handler, unmask_handler
from settings.logs.sink import Logs

Open = Callable[..., Logs]
SECRETS = frozenset({"hunter2-and-more"})


def _masker(text: str) -> str:
    return text.replace("hunter2", "***")


def _fail() -> None:
    raise ValueError("hunter2-and-more")


def _say(named: logging.Logger) -> None:
    try:
        _fail()
    except ValueError:
        named.exception("late, with %s", "hunter2-and-more")


def _named() -> logging.Logger:
    """Return a logger that keeps its records to itself; made in a test's own body, the test runner does not hear it."""
    found = logging.getLogger("t.late")
    found.handlers, found.propagate = [], False
    return found


def test_the_last_resort_masks(
    open_logs: Open, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late thread's record finds no handler; the standard library prints it, text and traceback."""
    monkeypatch.setattr(logging, "lastResort", logging._StderrHandler(logging.WARNING))  # type: ignore[attr-defined] # no public way makes one
    open_logs(secrets=SECRETS).close()
    _say(_named())
    shown = capsys.readouterr().err
    assert shown.startswith("late, with ***\nTraceback")
    assert shown.endswith("ValueError: ***\n")


def test_a_handler_that_was_given_back_masks(open_logs: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """It has its own format as ever, and is the same after any number of boots."""
    named = _named()
    handler, formatter = logging.StreamHandler(sys.stderr), logging.Formatter("own: %(message)s")
    handler.setFormatter(formatter)
    named.addHandler(handler)
    for _ in range(3):
        logs = open_logs(secrets=SECRETS)
        assert handler.formatter is formatter
        logs.close()
        assert named.handlers == [handler]
    _say(named)
    shown = capsys.readouterr().err
    assert shown.startswith("own: late, with ***\nTraceback")
    assert shown.endswith("ValueError: ***\n")


def test_a_handler_without_a_formatter_has_none_again() -> None:
    """The mask can be taken away, once, however often it was put on."""
    handler = logging.StreamHandler(sys.stderr)
    mask_handler(handler, _masker)
    mask_handler(handler, _masker)
    assert handler.format(logging.makeLogRecord({"msg": "hunter2"})) == "***"
    unmask_handler(handler)
    assert handler.formatter is None
