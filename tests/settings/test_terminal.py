"""Colour where it is wanted, wrapped where it is narrow, plain in a pipe."""

import io
import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from settings.terminal import Paper

HOUSE = Path(__file__).parents[2]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Terminal(), {"TERM": "xterm"}, True), (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False), (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (io.StringIO(), {"TERM": "xterm"}, False), (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)  # fmt: skip
def test_colours_are_for_terminals_that_want_them(
    stream: io.StringIO, environ: Mapping[str, str], coloured: bool
) -> None:
    """NO_COLOR wins, a pipe has none."""
    text = Paper(stream, environ).coloured("word", "error")
    assert (text != "word") == coloured
    assert "word" in text


def test_a_narrow_terminal_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is longer than the terminal, later lines are indented, and no word is cut."""
    monkeypatch.setenv("COLUMNS", "40")
    lines = Paper(Terminal(), {}).wrapped("fix: " + "word " * 30 + "x" * 60, "    ").splitlines()
    assert all(len(line) <= 40 for line in lines[:-1])
    assert lines[1].startswith("      ")
    assert lines[-1].strip() == "x" * 60


def test_a_pipe_gets_one_line_a_problem() -> None:
    """What is searched line by line is not wrapped."""
    assert "\n" not in Paper(io.StringIO(), {}).wrapped("word " * 100)


def on_a_terminal(folder: Path, *arguments: str, **variables: str) -> str:
    """Return what `python -m settings` writes to a terminal of 60 columns."""
    leader, follower = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), "TERM": "xterm", "COLUMNS": "60", **variables}
    command = [sys.executable, "-m", "settings", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environ, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    text = b""
    while select.select([leader], [], [], 30)[0]:
        try:
            text += os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
    os.close(leader)
    process.wait(30)
    return text.decode()


def test_a_real_terminal_gets_colours_and_progress(tmp_path: Path) -> None:
    """On a terminal the report is coloured and wrapped, and what is waited for is shown; NO_COLOR is obeyed."""
    text = on_a_terminal(tmp_path, "check", "--connect", DATABSE_URL="x")
    assert "\033[33mwarning\033[0m" in text
    assert "waiting for database" in text
    assert "\033[3" not in on_a_terminal(tmp_path, "check", DATABSE_URL="x", NO_COLOR="1")


def test_no_terminal_obeys_what_a_name_holds() -> None:
    """A line's end or an escape sequence in a file's name forges no line of the report and colours nothing."""
    assert Paper(io.StringIO(), {}).wrapped("a\nb\x1b[31mc", "  ") == "  a\\nb\\x1b[31mc"
