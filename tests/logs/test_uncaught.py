"""What nobody caught, and warnings."""

import io
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settings.logs.sink import Logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]
START = """
import sys, threading, warnings
from settings.logs.model import LogsSettings
from settings.logs.sink import configure_logs
"""
CONFIGURE = """
logs = configure_logs(LogsSettings(format="json"), app_name="shop", environment="testing")
"""


def _run(body: str, before: str = "") -> tuple[int, list[dict[str, Any]], str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    command = [sys.executable, "-c", START + before + CONFIGURE + body]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_an_uncaught_exception_of_the_process() -> None:
    """It is one CRITICAL record with its traceback, and the exit status is Python's."""
    status, lines, errors = _run("raise ValueError('boom')")
    assert (status, errors) == (1, "")
    assert [(line["level"], line["exception"][0]["message"]) for line in lines] == [("CRITICAL", "boom")]


def test_an_uncaught_exception_of_a_thread_is_limited() -> None:
    """Twenty threads that fail alike are five records and a summary."""
    body = """
def fail(): raise ValueError("boom")
for _ in range(20):
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
"""
    _, lines, errors = _run(body)
    assert errors == ""
    assert sum("exception" in line for line in lines) == 5
    assert lines[-1]["repeated"]["suppressed"] == 15


def test_an_exception_of_a_finalizer() -> None:
    """What Python can only print is a record too."""
    body = """
class Thing:
    def __del__(self): raise ValueError("boom")
Thing()
"""
    _, lines, errors = _run(body)
    assert errors == ""
    assert lines[0]["exception"][0]["message"] == "boom"


def test_the_hooks_of_others_are_called_after() -> None:
    """An error tracker that was there first still hears of it."""
    before = """
for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
    setattr(module, name, lambda *_, name=name: print("heard", name, file=sys.stderr))
"""
    body = """
def fail(): raise ValueError("boom")
class Thing:
    def __del__(self): raise ValueError("boom")
Thing()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
    _, lines, errors = _run(body, before)
    assert errors.splitlines() == ["heard unraisablehook", "heard excepthook", "heard excepthook"]
    assert sum("exception" in line for line in lines) == 3


def test_ctrl_c_and_a_threads_exit_are_no_errors() -> None:
    """An interruption ends the process as ever, with secrets masked; SystemExit of a thread is silent."""
    body = """
thread = threading.Thread(target=sys.exit)
thread.start()
thread.join()
try:
    raise ValueError("at redis://:s3cret@host/0")
except ValueError:
    raise KeyboardInterrupt
"""
    status, lines, errors = _run(body)
    assert (status, lines) == (-signal.SIGINT, [])
    assert "ValueError: at redis://:***@host/0" in errors
    assert errors.endswith("KeyboardInterrupt\n")


def test_an_uncaught_exception_of_any_kind_is_logged() -> None:
    """One that is no Exception, such as a time-out of gevent's, is masked and in the log like others."""
    body = """
class Timeout(BaseException): pass
raise Timeout("at redis://:s3cret@host/0")
"""
    status, lines, errors = _run(body)
    assert (status, errors) == (1, "")
    assert lines[0]["exception"][0]["message"] == "at redis://:***@host/0"


def test_why_a_process_ends_is_told_though_the_log_is_full() -> None:
    """What no destination takes of grave things goes to standard error, masked as ever."""
    before = """
import os
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
"""
    status, _, errors = _run("raise ValueError('at redis://:s3cret@host/0')", before)
    assert status != 0
    assert "log-destination-unusable" in errors
    assert "at redis://:***@host/0" in errors
    assert "s3cret" not in errors


def test_a_process_never_ends_in_silence() -> None:
    """Where the standard library's logging is switched off, Python tells of the end as ever."""
    status, lines, errors = _run("import logging; logging.disable()\nraise ValueError('boom')")
    assert (status, lines) == (1, [])
    assert "ValueError: boom" in errors


def test_what_nobody_catches_after_the_end_is_masked() -> None:
    """The log of a `with` block is closed when its exception is printed; Python prints the rest as ever."""
    body = """
def fail(): raise ValueError("at redis://:s3cret@host/0")
class Thing:
    def __del__(self): fail()
logs.close()
Thing()
for target in (fail, sys.exit):
    thread = threading.Thread(target=target, name="late")
    thread.start()
    thread.join()
fail()
"""
    status, lines, errors = _run(body)
    assert (status, lines) == (1, [])
    assert errors.count("ValueError: at redis://:***@host/0\n") == errors.count("Traceback") == 3
    assert "Exception ignored in: <function Thing.__del__" in errors
    assert "Exception in thread late:\nTraceback" in errors
    assert "s3cret" not in errors


def test_a_new_log_uses_the_hooks_that_are_there(
    open_logs: Open, lines: Lines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often a process boots, also twice at once, an exception is told once; under a later hook as well."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    for _ in range(3):
        open_logs().close()
    open_logs()
    below = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", lambda *error: below(*error))
    open_logs()
    sys.excepthook(LookupError, LookupError("at redis://:s3cret@host/0"), None)
    assert [line["level"] for line in lines()] == ["CRITICAL"]
    assert capsys.readouterr().err == "LookupError: at redis://:***@host/0\n"


def test_a_warning_has_the_place_that_it_speaks_of(open_logs: Open, lines: Lines) -> None:
    """It is logged as of the line that is to be mended, so that two of them are never taken for one."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs = open_logs(errors_per_minute=1)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        logs.close()
    assert [line["message"] for line in lines()] == ["DeprecationWarning: old way"] * 2
    assert lines()[0]["line"] == lines()[1]["line"] - 1
    assert {line["logger"] for line in lines()} == {"py.warnings"}


def test_a_warning_for_a_file_goes_there(open_logs: Open, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """`showwarning` with a file does what it did before."""
    file = io.StringIO()
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: file.write(str(message)))
    open_logs()
    warnings.showwarning("old", UserWarning, "a.py", 1, file)
    assert file.getvalue() == "old"
    assert lines() == []


def test_a_hook_that_was_replaced_later_is_left_alone(open_logs: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing gives back only what is still ours."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    logs = open_logs()

    def later(*_: object) -> None:
        """Stand for a hook that somebody set after us."""

    sys.excepthook = later
    logs.close()
    assert sys.excepthook is later


def test_a_closed_log_below_a_later_hook_swallows_nothing(
    open_logs: Open, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A boot that failed leaves such a hook, after its log was closed."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    logs = open_logs()
    below = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", lambda *error: below(*error))
    logs.close()
    sys.excepthook(LookupError, LookupError("lost"), None)
    assert capsys.readouterr().err == "LookupError: lost\n"
