"""Which records are held back, and that every one is counted."""

import io
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, g
from loguru import logger

from settings.logs.limiter import ErrorRateLimiter
from settings.logs.sink import Logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]
Told = Callable[[str], list[dict[str, Any]]]


def test_critical_always_passes(open_logs: Open, lines: Lines) -> None:
    """A hundred CRITICAL records are a hundred lines, whichever way they come."""
    open_logs(errors_per_minute=1)
    for _ in range(50):
        logger.critical("the house burns")
        logging.getLogger("house").critical("the house burns")
    assert len(lines()) == 100


def test_below_the_limit_level_nothing_is_counted(open_logs: Open, lines: Lines) -> None:
    """With LOG_LIMIT_LEVEL=ERROR, warnings are neither limited nor counted."""
    logs = open_logs(errors_per_minute=1, limit_level="ERROR")
    for _ in range(10):
        logger.warning("slow")
        logging.getLogger("house").warning("slow")
    assert len(lines()) == 20
    assert logs.figures()["seen"] == 0


def test_no_limit_lets_everything_pass(open_logs: Open, lines: Lines) -> None:
    """LOG_ERRORS_PER_MINUTE=0 is no limit."""
    open_logs(errors_per_minute=0)
    for _ in range(50):
        logger.error("again")
    assert len(lines()) == 50


def test_the_last_words_before_an_end_leave_nothing_out(open_logs: Open, lines: Lines) -> None:
    """What was held back is summed up, what comes later passes, and a close has nothing left to tell."""
    logs = open_logs(errors_per_minute=1)
    for each in range(20):
        if each == 10:
            logs.tell_rest()
        logger.error("again")
    logs.close()
    told = [line["repeated"]["suppressed"] for line in lines() if line.get("repeated", {}).get("event") == "summary"]
    assert told == [9]
    assert sum(line["message"] == "again" for line in lines()) == 11


def test_an_own_fingerprint_overrules(open_logs: Open) -> None:
    """`bind(fingerprint=…)` and `extra={"fingerprint": …}` count as they say, across places and libraries."""
    logs = open_logs(errors_per_minute=1)
    for n in range(5):
        logger.bind(fingerprint="payment").error(f"{'x' * n} failed")
        logging.getLogger("cards").error("%s refused", "y" * n, extra={"fingerprint": "payment"})
        logs.error("z" * n, fingerprint="payment")
    assert logs.figures() == {
        "seen": 15, "logged": 1, "suppressed": 14, "fingerprints": 1, "destination_failures": 0
    }  # fmt: skip


def test_an_own_fingerprint_may_be_anything(open_logs: Open, lines: Lines) -> None:
    """A number or a list given as fingerprint counts as its text; it is an error nowhere."""
    logs = open_logs(errors_per_minute=1)
    for given in (7, ["a", 7]):
        logger.bind(fingerprint=given).error("one way")
        logging.getLogger("cards").error("another way", extra={"fingerprint": given})
        logs.error("a third", fingerprint=given)
    assert [line["fingerprint"] for line in lines() if "repeated" not in line] == ["7", "['a', 7]"]
    assert (logs.figures()["logged"], logs.figures()["suppressed"]) == (2, 4)


def test_what_is_not_shown_is_not_counted(open_logs: Open, lines: Lines, told: Told) -> None:
    """A library that gave its logger a level below LOG_LEVEL is neither heard nor summed up (SQLAlchemy does)."""
    library = logging.getLogger("t.library")
    library.setLevel("DEBUG")
    logs = open_logs(level="ERROR", levels={"t.loud": "DEBUG"}, errors_per_minute=1)
    for _ in range(3):
        library.warning("chatter")
    logs.close()
    library.setLevel("NOTSET")
    assert lines() == []
    assert logs.figures()["seen"] == 0


def test_an_exception_may_be_the_message(open_logs: Open, lines: Lines) -> None:
    """`logs.error(error)` says what `logger.error(error)` says."""
    logs = open_logs()
    logs.error(ValueError("no card"))
    assert lines()[0]["message"] == "no card"


def test_repeated_errors_of_the_database_connection_are_limited(open_logs: Open, lines: Lines, told: Told) -> None:
    """A database that is gone is a few lines, whatever path was asked for, with Flask's own log of it."""
    logs = open_logs()
    app = Flask("shop")
    logs.instrument(app)

    @app.get("/<path:name>")
    def page(name: str) -> str:
        raise ConnectionError(f'connection to server at "10.0.0.{len(name)}", port 5432 failed: Connection refused')

    client = app.test_client()
    for n in range(40):
        assert client.get("/" + "a" * (n + 1)).status_code == 500
    logs.close()
    assert sum("exception" in line for line in lines()) == 5
    assert [each["suppressed"] for each in told("summary")] == [35]


def test_repeated_errors_of_the_context_are_limited(open_logs: Open, lines: Lines, told: Told) -> None:
    """A job without its application context is a few lines too."""
    logs = open_logs()
    for n in range(40):
        try:
            _ = g.session
        except RuntimeError:
            logging.getLogger("jobs").exception("job %d failed", n)
    logs.close()
    assert sum("exception" in line for line in lines()) == 5
    (summary,) = told("summary")
    assert summary["suppressed"] == 35
    assert "Working outside of application context" in summary["example"]


def test_the_own_entry_decides_before_loguru(open_logs: Open, lines: Lines) -> None:
    """`logs.error` is a line at its caller's place, with its fields, and is limited and counted like all others."""
    logs = open_logs(errors_per_minute=2)
    for n in range(10):
        logs.error("no stock", exception=ValueError("none left"), shelf=n)
    first = lines()[0]
    assert (first["logger"], first["function"]) == (__name__, "test_the_own_entry_decides_before_loguru")
    assert (first["extra"], first["exception"][0]["type"]) == ({"shelf": 0}, "ValueError")
    assert (logs.figures()["logged"], logs.figures()["suppressed"]) == (2, 8)


def test_the_own_entry_keeps_to_the_levels(open_logs: Open, lines: Lines) -> None:
    """Where ERROR is not shown, it is neither written nor counted; where it is not limited, all of it is written."""
    logs = open_logs(level="CRITICAL", errors_per_minute=1)
    logs.error("hidden")
    assert (lines(), logs.figures()["seen"]) == ([], 0)
    logs.close()
    logs = open_logs(limit_level="CRITICAL", errors_per_minute=1)
    logs.error("shown {braces}")
    logs.error("shown {braces}")
    assert [line["message"] for line in lines()] == ["shown {braces}"] * 2


def test_repeated_errors_are_there_for_the_status_page(open_logs: Open) -> None:
    """The most frequent first, with counts and a masked example; what came once, without one."""
    logs = open_logs(errors_per_minute=1, secrets=frozenset({"hunter2"}))
    logger.error("once")
    for _ in range(3):
        logger.error("thrice with hunter2")
    for _ in range(5):
        logging.getLogger("five").error("five times")
    rows = [(each.seen, each.suppressed, each.example) for each in logs.repeated()]
    assert rows == [(5, 4, "five times"), (3, 2, "thrice with ***"), (1, 0, "")]
    assert len(logs.repeated(1)) == 1


@pytest.mark.parametrize(("threads", "calls"), [(8, 2_500), pytest.param(8, 125_000, marks=pytest.mark.full)])
def test_counts_are_exact_from_many_threads(
    open_logs: Open, lines: Lines, told: Told, threads: int, calls: int
) -> None:
    """Identical errors from eight threads: the lines keep to the limit, and lines and summaries add up to all."""
    logs = open_logs()

    def storm() -> None:
        for n in range(calls):
            logger.error("payment {} failed", n)

    workers = [threading.Thread(target=storm) for _ in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    logs.close()
    passed = sum(line["message"].startswith("payment") for line in lines())
    assert passed == logs.limiter.statistics()["logged"] <= 5 * 10
    assert passed + sum(each["suppressed"] for each in told("summary")) == threads * calls
    assert len(told("held-back")) == 1


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_different_errors_are_never_merged(open_logs: Open, stream: io.StringIO, count: int) -> None:
    """Every one of very many different errors is a line of its own, also beyond what is remembered."""
    logs = open_logs(max_fingerprints=1000)
    letters = str.maketrans("0123456789", "abcdefghij")
    for n in range(count):
        logger.error("failed for " + str(n).translate(letters))
    assert stream.getvalue().count("failed for") == count
    assert (logs.figures()["suppressed"], logs.figures()["fingerprints"]) == (0, 1000)


def test_the_limiter_is_the_one_that_decides(open_logs: Open) -> None:
    """`logs.limiter` is what services.errors hands out."""
    logs = open_logs()
    logger.error("counted")
    assert isinstance(logs.limiter, ErrorRateLimiter)
    assert logs.limiter.statistics()["seen"] == 1


def test_no_summary_is_lost_to_a_sink_of_the_applications(
    open_logs: Open, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that raises is heard of on standard error, and the other summaries come all the same."""
    logs = open_logs(errors_per_minute=1)
    for word in ("one", "two", "three"):
        for _ in range(3):
            logger.error(word)

    def fail(_text: str) -> None:
        raise OSError("no route to the collector")

    number = logger.add(fail, catch=False)
    logs.close()
    logger.remove(number)
    assert [each["suppressed"] for each in told("summary")] == [2, 2, 2]
    assert capsys.readouterr().err.count("said here because a sink raised OSError") == 3
