"""Text for people: colour where a terminal wants it, wrapped where it is narrow, plain lines in a pipe."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import TextIO

_COLOURS: Mapping[str, str] = {"error": "31", "failed": "31", "warning": "33", "notice": "36", "ok": "32", "bold": "1"}
NARROWEST = 30
"""Below so many columns nothing is wrapped: each word would stand alone."""


class Paper:
    """Where a report is written: knows whether there are colours, and how wide it is.

    Args:
        stream: Standard output, as a rule.
        environ: For NO_COLOR (no-color.org), FORCE_COLOR and TERM.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        terminal = stream.isatty()
        dumb = environ.get("TERM") == "dumb"
        self.colours = not environ.get("NO_COLOR") and ((terminal and not dumb) or bool(environ.get("FORCE_COLOR")))
        columns = shutil.get_terminal_size((0, 0)).columns if terminal else 0
        self._width = columns if columns >= NARROWEST else 0

    def coloured(self, text: str, kind: str) -> str:
        """Return text in the colour of its kind, or as it is."""
        return f"\033[{_COLOURS[kind]}m{text}\033[0m" if self.colours and kind in _COLOURS else text

    def wrapped(self, text: str, indent: str = "") -> str:
        """Return text within the terminal's width, later lines indented; in a pipe it stays one line.

        Control characters, which a file's name may hold, are shown by their codes: no terminal obeys them.
        """
        text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: found.group().encode("unicode_escape").decode(), text)
        line = indent + text
        if not self._width or len(line) <= self._width:
            return line
        return "\n".join(
            textwrap.wrap(text, self._width, initial_indent=indent, subsequent_indent=indent + "  ",
                          break_long_words=False, break_on_hyphens=False)
        )  # fmt: skip


def lenient(stream: TextIO) -> None:
    """Let a stream that cannot write a character write its code instead of failing."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def closed_pipe() -> None:
    """Let the interpreter end without a word after the reader of a pipe has gone (docs.python.org, library/signal)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
