"""The whole way of a record: from a call to a line, once in full, the rest counted."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines go."""
    return io.StringIO()


@pytest.fixture
def open_logs(stream: io.StringIO) -> Iterator[Open]:
    """Opens logs that write JSON to `stream` and are closed after the test."""
    opened: list[Logs] = []

    def make(*, secrets: frozenset[str] = frozenset(), **settings: object) -> Logs:
        values = {"format": "json", "summary_interval": 3600, **settings}
        chosen = LogsSettings.model_validate(values)
        opened.append(configure_logs(chosen, app_name="shop", environment="testing", stream=stream, secrets=secrets))
        return opened[-1]

    yield make
    for logs in reversed(opened):
        logs.close()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    """Returns the lines written so far."""
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def _told(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line["repeated"] for line in lines if line.get("repeated", {}).get("event") == event]


def test_an_error_is_logged_in_full_and_then_counted(open_logs: Open, lines: Lines) -> None:
    """Five of a hundred pass, one line says that the others are held back, and the end tells how many."""
    logs = open_logs()
    for n in range(100):
        logger.error("order {} failed", n)
    assert logs.figures()["suppressed"] == 95
    logs.close()
    assert sum(line["message"].startswith("order") for line in lines()) == 5
    assert len(_told(lines(), "held-back")) == 1
    assert [each["suppressed"] for each in _told(lines(), "summary")] == [95]


def test_the_standard_library_comes_the_same_way(open_logs: Open, lines: Lines) -> None:
    """A stdlib record has its own place and name, and is limited by them."""
    logs = open_logs(errors_per_minute=1)
    for n in range(10):
        logging.getLogger("billing.cards").error("card %d refused", n)
    first = lines()[0]
    assert (first["logger"], first["function"]) == ("billing.cards", "test_the_standard_library_comes_the_same_way")
    assert (logs.figures()["logged"], logs.figures()["suppressed"]) == (1, 9)


def test_closing_gives_back_what_was_there(open_logs: Open) -> None:
    """Handlers and levels of the root logger are as before, and a second close does nothing."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    logs = open_logs(level="TRACE")
    assert (list(root.handlers), root.level) != before
    logs.close()
    logs.close()
    assert (list(root.handlers), root.level) == before
