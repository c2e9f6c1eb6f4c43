"""Several logs that are open in one process: one line of each record, and nothing given back before the last."""

import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from settings.logs.sink import Logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def console() -> Iterator[logging.StreamHandler[Any]]:
    """A handler of the application's own that writes to standard error, as `logging.basicConfig` makes it."""
    root, handler = logging.getLogger(), logging.StreamHandler(sys.stderr)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


def _messages(lines: Lines) -> list[str]:
    return [line["message"] for line in lines()]


@pytest.mark.parametrize("count", [1, 2, 10])
def test_one_record_is_one_line_and_counts_once(open_logs: Open, lines: Lines, count: int) -> None:
    """However many applications a process has, and whichever library they log with."""
    every = [open_logs() for _ in range(count)]
    logging.getLogger("t").error("standard")
    logger.error("loguru")
    assert _messages(lines) == ["standard", "loguru"]
    assert [logs.figures()["seen"] for logs in every] == [0] * (count - 1) + [2]


def test_the_newest_limits_by_its_own_settings(open_logs: Open, lines: Lines) -> None:
    """An older log neither lets pass nor counts what the newest holds back."""
    older, newest = open_logs(errors_per_minute=50), open_logs(errors_per_minute=2)
    for n in range(20):
        logging.getLogger("t").error("order %d failed", n)
    assert sum(message.startswith("order") for message in _messages(lines)) == 2
    assert (older.figures()["seen"], newest.figures()["suppressed"]) == (0, 18)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.usefixtures("console")
def test_the_other_one_goes_on(open_logs: Open, lines: Lines, capsys: pytest.CaptureFixture[str], first: int) -> None:
    """Whichever closes first: levels, handlers and what is masked, also of the one that has gone, stay."""
    both = [open_logs(level="INFO", secrets=frozenset({secret})) for secret in ("first-secret", "other-secret")]
    both[first].close()
    logging.getLogger("t").info("a first-secret and an other-secret")
    logger.info("a first-secret and an other-secret")
    assert _messages(lines) == ["a *** and an ***"] * 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.usefixtures("console")
def test_the_last_one_gives_everything_back(open_logs: Open, order: tuple[int, ...]) -> None:
    """Handlers and levels are as before the first, in whatever order the logs close."""
    root, named = logging.getLogger(), logging.getLogger("t.given.back")

    def state() -> tuple[set[logging.Handler], int, int]:
        return set(root.handlers), root.level, named.level

    before = state()
    every = [open_logs(level="TRACE", levels={named.name: level}) for level in ("DEBUG", "ERROR", "INFO")]
    for number in order:
        assert state() != before
        every[number].close()
    assert state() == before


def test_each_has_its_level_when_it_is_its_turn(open_logs: Open, lines: Lines) -> None:
    """The older one's DEBUG comes back with it."""
    open_logs(level="DEBUG", levels={"t.noisy": "ERROR"})
    newest = open_logs(level="WARNING")

    def say(word: str) -> None:
        logging.getLogger("t").debug(word)
        logger.debug(word)
        logging.getLogger("t.noisy").warning("noisy " + word)

    say("one")
    newest.close()
    say("two")
    assert _messages(lines) == ["noisy one", "two", "two"]


def test_a_level_is_set_for_the_process(open_logs: Open, lines: Lines) -> None:
    """Whichever application is asked, and for as long as any is open; one that is closed sets nothing."""
    older, newest = open_logs(level="INFO"), open_logs(level="INFO")
    older.set_level("DEBUG", "t")
    logging.getLogger("t").debug("one")
    newest.close()
    newest.set_level("ERROR")
    logging.getLogger("t").debug("two")
    assert _messages(lines) == ["one", "two"]


def test_no_record_is_lost_or_doubled_by_a_change_of_turns(open_logs: Open, lines: Lines) -> None:
    """Others log while applications open and close."""
    open_logs()
    stop = threading.Event()
    said = Counter[str]()

    def log(say: Callable[[str], object], name: str) -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            say(f"{name} {number}")
            said[name] += 1

    ways = [(logging.getLogger("t").info, "standard"), (logger.info, "loguru")]
    threads = [threading.Thread(target=log, args=way) for way in ways]
    for thread in threads:
        thread.start()
    for _ in range(10):
        open_logs(level="INFO").close()
    stop.set()
    for thread in threads:
        thread.join()
    expected = {f"{name} {number}" for name, most in said.items() for number in range(most)}
    assert Counter(_messages(lines)) == dict.fromkeys(expected, 1)


def test_a_new_one_writes_though_all_sinks_were_removed(open_logs: Open, lines: Lines) -> None:
    """An application that configures loguru itself takes ours with it; the next boot is heard again."""
    open_logs()
    logger.remove()
    open_logs()
    logger.info("here")
    assert _messages(lines) == ["here"]


def test_an_older_one_told_its_rest_before_it_closed(open_logs: Open, told: Callable[[str], Any]) -> None:
    """What it held back until the newer one came is summed up."""
    older = open_logs(errors_per_minute=1)
    for _ in range(3):
        logging.getLogger("t").error("failed")
    open_logs()
    older.close()
    assert [each["suppressed"] for each in told("summary")] == [2]
