"""The whole way of a record: from a call to a line, once in full, the rest counted."""

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from loguru import logger

from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs
from settings.probe import HealthStatus

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]
Told = Callable[[str], list[dict[str, Any]]]


def test_an_error_is_logged_in_full_and_then_counted(open_logs: Open, lines: Lines, told: Told) -> None:
    """Five of a hundred pass, one line says that the others are held back, and the end tells how many."""
    logs = open_logs()
    for n in range(100):
        logger.error("order {} failed", n)
    assert logs.figures()["suppressed"] == 95
    logs.close()
    assert sum(line["message"].startswith("order") for line in lines()) == 5
    assert len(told("held-back")) == 1
    assert [each["suppressed"] for each in told("summary")] == [95]


def test_the_summary_says_what_where_and_when(open_logs: Open, told: Told) -> None:
    """Fingerprint, place, times and one example are fields of the summary."""
    logs = open_logs(errors_per_minute=1)
    for n in range(3):
        try:
            raise ValueError(f"order {n} is empty")
        except ValueError:
            logger.exception("lost")
    logs.close()
    (summary,) = told("summary")
    assert summary["example"].startswith("ValueError: order 1 is empty")
    assert summary["where"].startswith(__file__)
    assert summary["first_seen"] <= summary["last_seen"]
    assert summary["suppressed"] == 2


def test_the_first_occurrence_has_traceback_and_context(open_logs: Open, lines: Lines) -> None:
    """Nothing of the first one is left out."""
    logs = open_logs()
    with logs.bound(request_id="r-1", path="/orders/7"):
        try:
            raise KeyError("seven")
        except KeyError:
            logger.exception("no such order")
    (line,) = lines()
    assert (line["request_id"], line["path"], line["level"]) == ("r-1", "/orders/7", "ERROR")
    assert line["exception"][0]["type"] == "KeyError"
    assert line["exception"][0]["frames"][-1]["function"] == "test_the_first_occurrence_has_traceback_and_context"


def test_the_standard_library_comes_the_same_way(open_logs: Open, lines: Lines) -> None:
    """A stdlib record has its own place and name, and is limited by them."""
    logs = open_logs(errors_per_minute=1)
    for n in range(10):
        logging.getLogger("billing.cards").error("card %d refused", n)
    first = lines()[0]
    assert (first["logger"], first["function"]) == ("billing.cards", "test_the_standard_library_comes_the_same_way")
    assert (logs.figures()["logged"], logs.figures()["suppressed"]) == (1, 9)


def test_a_failed_request_is_logged_with_its_request(open_logs: Open, lines: Lines) -> None:
    """Flask's own record of an exception bears the fields that are bound around it, and is written once."""
    logs = open_logs()
    app = Flask("shop")
    assert app.logger.name == "shop"  # made before: Flask has given it a handler of its own where none was there
    logs.instrument(app)

    @app.get("/boom")
    def boom() -> str:
        raise ValueError("boom")

    with logs.bound(request_id="r-9", method="GET", path="/boom", endpoint="boom"):
        assert app.test_client().get("/boom").status_code == 500
    (line,) = lines()
    assert [line[name] for name in ("logger", "request_id", "method", "path", "endpoint")] == [
        "shop", "r-9", "GET", "/boom", "boom"
    ]  # fmt: skip
    assert line["exception"][0]["message"] == "boom"


def test_levels_change_at_run_time(open_logs: Open, lines: Lines) -> None:
    """Down and up again, for everything and for one logger, in both libraries; no line is lost or doubled."""
    logs = open_logs(level="INFO", levels={"noisy": "ERROR"})
    noisy, quiet = logging.getLogger("noisy.part"), logging.getLogger("quiet")

    def say(word: str) -> None:
        noisy.warning("noisy %s", word)
        quiet.debug("quiet %s", word)
        logger.debug(f"loguru {word}")

    say("one")
    logs.set_level("DEBUG")
    say("two")
    logs.set_level("WARNING", "noisy")
    logs.set_level("INFO", __name__)
    say("three")
    logs.set_level("INFO")
    say("four")
    assert [line["message"] for line in lines()] == [
        "quiet two", "loguru two", "noisy three", "quiet three", "noisy four"
    ]  # fmt: skip


def test_an_unknown_level_names_the_known_ones(open_logs: Open) -> None:
    """A misspelt level changes nothing, and says what there is."""
    with pytest.raises(ValueError, match=r"'LOUD' is no level \[log-level-unknown\]. Fix: use one of TRACE, DEBUG"):
        open_logs().set_level("LOUD")


def test_closing_gives_back_what_was_there(open_logs: Open) -> None:
    """Handlers and levels of the root logger are as before, and a second close does nothing."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    logs = open_logs(level="TRACE")
    assert (list(root.handlers), root.level) != before
    logs.close()
    logs.close()
    logs.set_level("ERROR")
    logs.close()
    assert (list(root.handlers), root.level) == before


def test_lines_go_to_the_file_too(open_logs: Open, lines: Lines, tmp_path: Path) -> None:
    """LOG_FILE has the same lines as the stream."""
    file = tmp_path / "shop.log"
    open_logs(file=file)
    logger.info("hello")
    assert [json.loads(line) for line in file.read_text().splitlines()] == lines()


def test_an_unusable_file_takes_nothing_down(
    open_logs: Open, lines: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once on standard error, counted, and read by the health check; the stream goes on."""
    logs = open_logs(file=tmp_path / "missing" / "shop.log")
    for n in range(10):
        logger.info("hello {}", n)
    assert len(lines()) == 10
    assert capsys.readouterr().err.count("log-destination-unusable") == 1
    assert logs.figures()["destination_failures"] == 10
    reading = logs.reading()
    assert (reading.status, reading.code) == (HealthStatus.UNHEALTHY, "log-destination-unusable")
    (tmp_path / "missing").mkdir()
    logger.info("again")
    assert logs.reading().status is HealthStatus.HEALTHY


def test_the_reading_says_where_lines_go(open_logs: Open, tmp_path: Path) -> None:
    """Format and destinations are there for the status page."""
    reading = open_logs(file=tmp_path / "shop.log").reading()
    assert reading.detail == f"json to standard output and {tmp_path / 'shop.log'}"
    assert reading.facts["seen"] == 0


def test_the_default_of_loguru_is_replaced_and_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    """While logs are open nothing goes to standard error; afterwards loguru is as it was."""
    logs = configure_logs(LogsSettings(), app_name="shop", environment="testing", stream=io.StringIO())
    logger.info("inside")
    logs.close()
    logger.info("outside")
    assert "inside" not in capsys.readouterr().err
