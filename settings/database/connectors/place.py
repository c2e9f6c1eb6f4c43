"""Where a SQLite file may be: SQLite has one word for all that is wrong with a path, and here each is told apart."""

import os
from dataclasses import replace
from pathlib import Path

from settings.database.diagnosis_sqlite import CODES_OF_SQLITE, FOLDER_UNUSABLE, NO_FILE
from settings.problems import BootstrapError, Diagnosis


def prepare_place(file: Path) -> None:
    """Make the folder of a file that is missing, and see that a database can be there; touches nothing else.

    Raises:
        BootstrapError: When it cannot: the folder cannot be made or written, or the path names something else.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(f"the folder {file.parent} cannot be made: {error.strerror}") from error
    try:
        _check(file)
    except OSError as error:
        raise _unusable(f"there can be no file {file}: {error.strerror}") from error


def _check(file: Path) -> None:
    if file.is_dir():
        raise _refused(CODES_OF_SQLITE["SQLITE_CANTOPEN_ISDIR"])
    if file.exists() and not file.is_file():
        raise _refused(NO_FILE)
    # A file that is there may be read in a folder that may not be written.
    if not file.exists() and not os.access(file.parent, os.W_OK | os.X_OK):
        raise _unusable(f"this user may not write in the folder {file.parent}")


def _unusable(cause: str) -> BootstrapError:
    return _refused(replace(FOLDER_UNUSABLE, cause=cause))


def _refused(found: Diagnosis) -> BootstrapError:
    return BootstrapError("DATABASE_URL", "", found)
