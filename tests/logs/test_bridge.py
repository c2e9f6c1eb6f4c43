"""From the standard library's logging into the one sink."""

import io
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from settings.logs.bridge import Bridge, Takeover, text_of_record, writes_to_console
from settings.logs.fingerprint import Fingerprints
from settings.logs.levels import Levels
from settings.logs.sink import Logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]


def _bridge() -> Bridge:
    return Bridge(30, Levels("INFO", {}), Fingerprints(), lambda *_: False)


def test_extras_and_levels_of_a_record_stay(open_logs: Open, lines: Lines) -> None:
    """What `extra=` gave becomes fields, a level of one's own keeps its number, braces are only braces."""
    open_logs(level="TRACE", format="json")
    logging.getLogger("t").info("{order} %s", "{x}", extra={"order": 7})
    logging.getLogger("t").log(23, "between")
    first, second = lines()
    assert (first["message"], first["extra"]) == ("{order} {x}", {"order": 7})
    assert second["level"] == "Level 23"


def test_a_record_of_another_thread_s_queue_is_handed_over(open_logs: Open, lines: Lines) -> None:
    """What something else hands to the handler itself is logged as well."""
    open_logs()
    (bridge,) = (each for each in logging.getLogger().handlers if isinstance(each, Bridge))
    bridge.emit(logging.makeLogRecord({"name": "queued", "levelno": 20, "levelname": "INFO", "msg": "late"}))
    assert (lines()[0]["logger"], lines()[0]["message"]) == ("queued", "late")


def test_the_stack_that_was_asked_for_is_there(open_logs: Open, lines: Lines) -> None:
    """`stack_info=True` is a field."""
    open_logs()
    logging.getLogger("t").info("where", stack_info=True)
    assert "test_the_stack_that_was_asked_for_is_there" in lines()[0]["extra"]["stack"]


def test_arguments_that_do_not_fit_are_shown() -> None:
    """The text and its arguments are there, with what to mend."""
    text = text_of_record(logging.makeLogRecord({"msg": "%d of %d", "args": (1,)}))
    assert text.startswith("'%d of %d' with the arguments (1,)")
    assert "[log-record-unreadable]. Fix: " in text


def test_what_is_held_back_never_reaches_loguru() -> None:
    """The decision comes before anything is built."""
    assert not _bridge().handle(logging.makeLogRecord({"levelno": 40, "levelname": "ERROR", "msg": "x"}))


def test_console_handlers_go_and_others_stay(tmp_path: Any) -> None:
    """A stream on the console would show each line twice; a file or an error tracker is the application's own."""
    named = logging.getLogger("t.takeover")
    console, memory = logging.StreamHandler(sys.stderr), logging.StreamHandler(io.StringIO())
    file = logging.FileHandler(tmp_path / "own.log")
    named.handlers = [console, memory, file]
    takeover = Takeover()
    takeover.take(named)
    assert named.handlers == [memory, file]
    takeover.restore(str)
    assert set(named.handlers) == {console, memory, file}
    named.handlers = []
    file.close()


def test_a_logger_that_kept_to_itself_passes_on() -> None:
    """Loggers of gunicorn do not propagate; without a handler of their own they would be silent."""
    named = logging.getLogger("t.quiet")
    named.handlers, named.propagate = [logging.StreamHandler(sys.stdout)], False
    takeover = Takeover()
    takeover.install(_bridge(), str)
    assert named.propagate
    takeover.restore(str)
    assert not named.propagate
    assert len(named.handlers) == 1
    named.handlers, named.propagate = [], True


def test_flasks_own_handler_is_one_of_the_console() -> None:
    """It writes to what the server calls its error stream."""
    from flask.logging import default_handler

    assert writes_to_console(default_handler)


@pytest.mark.parametrize(
    "name", ["sqlalchemy.engine.Engine", "alembic.runtime", "apscheduler", "celery.task", "werkzeug"]
)
def test_libraries_come_by_the_root(open_logs: Open, lines: Lines, name: str) -> None:
    """Whatever library logs, its name is on the line."""
    open_logs()
    logging.getLogger(name).warning("hello")
    assert lines()[0]["logger"] == name
