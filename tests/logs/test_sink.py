"""The whole way of a record: from a call to a line, once in full, the rest counted."""

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from loguru import logger

from settings.logs.limiter import ErrorRateLimiter
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


def test_the_standard_library_comes_the_same_way(open_logs: Open, lines: Lines) -> None:
    """A stdlib record has its own place and name, and is limited by them."""
    logs = open_logs(errors_per_minute=1)
    for n in range(10):
        logging.getLogger("billing.cards").error("card %d refused", n)
    first = lines()[0]
    assert (first["logger"], first["function"]) == ("billing.cards", "test_the_standard_library_comes_the_same_way")
    assert (logs.figures()["logged"], logs.figures()["suppressed"]) == (1, 9)


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


def test_no_secret_gets_into_the_log_however_it_came(open_logs: Open, stream: io.StringIO) -> None:
    """Messages, arguments, extras, exceptions, tracebacks, summaries and URLs are masked."""
    secret = 'p@ss/"w\\rd'
    logs = open_logs(secrets=frozenset({secret}), errors_per_minute=1)
    for _ in range(2):
        try:
            raise ValueError(f"login with {secret} at postgresql://u:other-pw@h/d failed")
        except ValueError as error:
            logger.bind(token=secret, deep={"list": [secret]}).exception("bad {}", secret)
            logging.getLogger("x").exception("bad %s %r", secret, secret, extra={"given": secret})
            logs.error(secret, exception=error, field=secret)  # noqa: TRY400 - this is no stdlib logger
    with logs.bound(path=secret):
        logger.info("here")
    logs.close()
    for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], "p%40ss", "other-pw"):
        assert spelling not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_a_record_that_cannot_be_printed_is_still_a_line(
    open_logs: Open, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken arguments and a broken __str__ cost no line and raise nothing where something is logged."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    class BrokenError(Exception):
        __str__ = Broken.__str__

    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own handler raises what the arguments lack
    open_logs()
    logging.getLogger("x").error("%s %s", 1)
    logger.bind(thing=Broken()).error("thing")
    logger.opt(exception=BrokenError()).error("broken")
    texts = [json.dumps(line) for line in lines()]
    assert len(texts) == 3
    assert "log-record-unreadable" in texts[0]
    assert "Broken that cannot be printed" in texts[1]


def test_logging_in_the_middle_of_a_write_is_written_after(open_logs: Open, lines: Lines, stream: io.StringIO) -> None:
    """A finalizer or signal handler that logs while this thread writes loses nothing and raises nothing."""
    open_logs()
    write = stream.write
    nested = iter(["from a finalizer"])

    def write_and_log(text: str) -> int:
        for word in nested:
            logger.error(word)
        return write(text)

    stream.write = write_and_log  # type: ignore[method-assign] # stands for an interruption at this very place
    logger.error("outer")
    assert [line["message"] for line in lines()] == ["outer", "from a finalizer"]


def test_a_str_that_waits_for_a_lock_holds_up_nobody(open_logs: Open, lines: Lines) -> None:
    """Values are turned to text where no lock of the log is held: one that takes a lock meets nobody there."""
    lock, inside = threading.Lock(), threading.Event()

    class Thing:
        def __str__(self) -> str:
            inside.set()
            with lock:
                return "thing"

    logs = open_logs()

    def with_thing() -> None:
        with logs.bound(endpoint=Thing()):
            logger.info("outer")

    with lock:
        thread = threading.Thread(target=with_thing)
        thread.start()
        assert inside.wait(5)
        logger.info("meanwhile")
    thread.join(5)
    assert {line["message"] for line in lines()} == {"meanwhile", "outer"}


def test_the_default_of_loguru_is_replaced_and_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    """While logs are open nothing goes to standard error; afterwards loguru is as it was."""
    logs = configure_logs(LogsSettings(), app_name="shop", environment="testing", stream=io.StringIO())
    logger.info("inside")
    logs.close()
    logger.info("outside")
    assert "inside" not in capsys.readouterr().err


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


@pytest.fixture
def root() -> Iterator[None]:
    """Give the root logger back as it was, in whatever order two logs are closed."""
    logger_of_all = logging.getLogger()
    handlers, level = list(logger_of_all.handlers), logger_of_all.level
    yield
    logger_of_all.handlers[:] = handlers
    logger_of_all.setLevel(level)


@pytest.mark.usefixtures("root")
def test_late_lines_are_masked_and_told_once(open_logs: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """While another log is open nothing is told twice; after the last one loguru's own sink masks as it did."""
    first = open_logs(secrets=frozenset({"hunter2-and-more"}))
    second = open_logs(secrets=frozenset({"hunter2-and-more"}))
    first.close()
    logger.warning("with hunter2-and-more")
    assert "hunter2" not in capsys.readouterr().err
    second.close()
    logger.warning("late, with hunter2-and-more")
    told = capsys.readouterr().err
    assert "late, with ***" in told
    assert "hunter2" not in told
