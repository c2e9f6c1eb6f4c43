"""What must never get into a log, or out of it: secrets, broken records, interruptions."""

import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from settings.forks import watch_forks
from settings.logs.sink import Logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]
Told = Callable[[str], list[dict[str, Any]]]


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


def test_signal_handlers_may_log_at_any_moment(open_logs: Open, stream: io.StringIO) -> None:
    """Whatever line of the log's own code they interrupt, they lose no line and get no exception."""
    open_logs(format="text", limit_level="CRITICAL")
    raised: list[Exception] = []
    interruptions = lines = 0

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interruptions
        interruptions += 1
        try:
            logger.error("from a handler")
        except RuntimeError as error:
            raised.append(error)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        while interruptions < 1000:
            logger.error("outer")
            lines += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised == []
    assert stream.getvalue().count("- from a handler") == interruptions
    assert stream.getvalue().count("- outer") == lines


def test_a_finalizer_that_logs_inside_the_limiter_holds_up_no_fork(open_logs: Open, lines: Lines) -> None:
    """It runs wherever memory is asked for, and needs the lock of the destinations while it has the limiter's."""
    logs = open_logs()
    inside, forking = threading.Event(), threading.Event()

    def finalize() -> None:
        with logs.limiter._lock:
            inside.set()
            forking.wait(10)
            time.sleep(0.2)  # the fork waits for this lock by now
            logger.info("from a finalizer")

    thread = threading.Thread(target=finalize)
    thread.start()
    assert inside.wait(10)
    forking.set()
    if (child := os.fork()) == 0:
        os._exit(0)
    thread.join(10)
    assert not thread.is_alive()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [line["message"] for line in lines()] == ["from a finalizer"]


def test_who_logs_while_he_holds_a_lock_holds_up_no_fork(open_logs: Open, lines: Lines) -> None:
    """A fork takes the log's locks after all others, also those of things that came before it."""
    logs = open_logs()
    lock, holding, forking = threading.Lock(), threading.Event(), threading.Event()

    class Holder:
        def before_fork(self) -> None:
            forking.set()
            assert lock.acquire(timeout=5)

        def after_fork_in_parent(self) -> None:
            lock.release()

        def after_fork_in_child(self) -> None:
            os._exit(0)

    def work() -> None:
        with lock:
            holding.set()
            forking.wait(10)
            logs.error("in need of the log")

    holder, thread = Holder(), threading.Thread(target=work)
    watch_forks(holder)
    thread.start()
    assert holding.wait(10)
    assert os.waitstatus_to_exitcode(os.waitpid(os.fork(), 0)[1]) == 0
    thread.join(10)
    assert [line["message"] for line in lines()] == ["in need of the log"]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_raw_record_is_a_line_like_others(open_logs: Open, stream: io.StringIO, kind: str) -> None:
    """`opt(raw=True)` goes round loguru's formats, not round masking nor round what keeps a line a line."""
    open_logs(format=kind, secrets=frozenset({"hunter2-and-more"}))
    logger.opt(raw=True).info("with hunter2-and-more\n2026-11-25T02:33:06.123Z ERROR forged")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_line_that_cannot_be_made_keeps_its_words(open_logs: Open, stream: io.StringIO, kind: str) -> None:
    """A field that fails while it is read costs the fields, not message and exception; the format stays."""

    class Changing(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("dictionary changed size during iteration")

    logs = open_logs(format=kind, secrets=frozenset({"hunter2-and-more"}))
    with logs.bound(cache=Changing(a=1)):
        logger.opt(exception=ValueError("no card")).error("lost, with hunter2-and-more")
    (line,) = stream.getvalue().splitlines()
    assert "lost, with ***" in line
    assert "no card" in line
    assert "log-record-unreadable" in line
    assert json.loads(line)["level"] == "ERROR" if kind == "json" else " ERROR    shop/testing[" in line


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
