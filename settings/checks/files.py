"""Files: which one a SQLite URL opens, and whether it and the log file can be made and written."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from settings.checks.subject import Subject
from settings.database.config import DatabaseConfig
from settings.database.url import DatabaseURLParser
from settings.logs.model import LogsSettings
from settings.problems import Problem


def file_problems(subject: Subject) -> Iterator[Problem]:
    """Yield what stands in the way of the SQLite files, and what their URLs open when that may surprise."""
    for variable in ("DATABASE_URL", "DATABASE_FALLBACK_URL"):
        config = subject.database(variable)
        if config is None:
            continue
        # Of the text as it was written: the room holds it normalised, with nothing left to warn of.
        for warning in DatabaseURLParser.validate_url(subject.sources.text(variable) or "").warnings:
            message, _, fix = warning.partition("; ")
            yield subject.problem(variable, "warning", "unusual-url", message, fix)
        if config.file is not None and config.options.get("mode", "rwc") != "ro":
            yield from _look_at(subject, variable, config.file, config)


def log_file_problems(subject: Subject) -> Iterator[Problem]:
    """Yield why LOG_FILE cannot be written; the log then goes to the standard output alone."""
    path = subject.room(LogsSettings).file
    if path is None:
        return
    with suppress(OSError, ValueError):  # a path that cannot be looked at cannot be a file of today
        if path.is_dir():
            yield _log_file(subject, f"{path} is a folder, not a file")
        elif not path.parent.is_dir():
            yield _log_file(subject, f"the folder {path.parent} does not exist")
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            yield _log_file(subject, f"{path} cannot be written by this user")


def _log_file(subject: Subject, message: str) -> Problem:
    fix = "name a file in a folder that this user may write; ~ is not expanded"
    return subject.problem("LOG_FILE", "warning", "unusable-log-file", message, fix)


def _look_at(subject: Subject, variable: str, path: Path, config: DatabaseConfig) -> Iterator[Problem]:
    given = subject.sources.text(variable) or ""
    try:
        yield from _slashes(subject, variable, path, given)
        yield from _folder(subject, variable, path, may_make=config.options.get("mode", "rwc") == "rwc")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        fix = "name a file in a folder that this user may write"
        yield subject.problem(variable, "error", "unusable-path", f"its path cannot be looked at: {why}", fix)


def _slashes(subject: Subject, variable: str, path: Path, given: str) -> Iterator[Problem]:
    relative = given.partition("://")[2].partition("?")[0].removeprefix("/")
    if relative.startswith(("/", "file:", "~")) or not relative:
        return
    first = Path("/") / relative.split("/")[0]
    if "/" in relative and first.is_dir() and not (Path.cwd() / relative.split("/")[0]).exists():
        message = f"three slashes are relative to the working directory: it opens {path}"
        yield subject.problem(
            variable, "warning", "relative-path", message, f"for /{relative} write four: sqlite:////{relative}"
        )


def _folder(subject: Subject, variable: str, path: Path, *, may_make: bool) -> Iterator[Problem]:
    if path.is_dir():
        fix = f"name a file in it: sqlite:///{path}/app.db"
        yield subject.problem(variable, "error", "unusable-path", f"{path} is a folder, not a file", fix)
    elif path.exists():
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            message = f"{path} or its folder cannot be written by this user"
            yield subject.problem(variable, "error", "unwritable-path", message, f"let this user own {path.parent}")
    elif not path.parent.exists():
        yield _missing(subject, variable, path.parent, may_make=may_make)
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        message = f"the folder {path.parent} cannot be written by this user"
        yield subject.problem(variable, "error", "unwritable-path", message, f"let this user own {path.parent}")


def _missing(subject: Subject, variable: str, folder: Path, *, may_make: bool) -> Problem:
    above = next(each for each in folder.parents if each.exists())
    fix = f"mkdir -p {folder}"
    if may_make and above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        message = f"the folder {folder} does not exist; it is made when the database is first opened"
        return subject.problem(variable, "notice", "missing-folder", message, fix)
    message = f"the folder {folder} does not exist and cannot be made by this user"
    return subject.problem(variable, "error", "missing-folder", message, fix)
