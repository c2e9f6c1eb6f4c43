"""Which `flask` command this process runs, if any, so that a boot knows what to leave to it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

WITH_VALUE = frozenset({"-A", "--app", "-e", "--env-file"})
LEFT_ALONE = frozenset({"bootstrap", "db", "shell", "routes"})
"""Commands under which a boot migrates nothing, creates nothing and starts nothing: the command decides."""


def flask_command(argv: Sequence[str] | None = None) -> str | None:
    """Return the name of the flask command that is being run, or None outside Flask's command line.

    Args:
        argv: The words after the program's name; `sys.argv[1:]` inside a running click command otherwise.
    """
    if argv is None and not _in_flask_cli():
        return None
    words = iter(sys.argv[1:] if argv is None else argv)
    for word in words:
        if word in WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def _in_flask_cli() -> bool:
    program = Path(sys.argv[0])
    named = program.name.startswith("flask") or program.parent.name == "flask"
    return named and click.get_current_context(silent=True) is not None


def address_to_open() -> str | None:
    """Return the address that `flask run` is going to serve on, or None under any other server."""
    context = click.get_current_context(silent=True)
    if context is None or flask_command() != "run" or not context.params.get("port"):
        return None
    scheme = "https" if context.params.get("cert") else "http"
    host = context.params.get("host") or "127.0.0.1"
    return f"{scheme}://{host}:{context.params['port']}/"
