"""One `.env` file read as python-dotenv reads it, with the line of each value and every problem of the file."""

import io
import re
from collections.abc import Mapping
from pathlib import Path

from settings.problems import Problem

ENV_FILE_BYTES = 1048576
"""More than any `.env` file is long."""
OF_A_NAME = ("empty-expansion", "repeated-name")
"""Codes that matter of names which are read; other people's may do as they like."""
Found = tuple[str, str]
"""A value's text, and its origin such as `.env:12`."""


def read_dotenv(path: Path, below: Mapping[str, str], *, label: str) -> tuple[dict[str, Found], list[Problem]]:
    """Return every value of a file with its origin, and what is wrong with the file; empty when there is none.

    `export X=`, comments, quotes and `${OTHER}` are python-dotenv's own; a name that the file sets wins over the
    same name in `below`.

    Args:
        path: The file.
        below: What `${OTHER}` may name, beside what stands above it in the file.
        label: How the file is named in origins.
    """
    try:
        if not path.is_file():
            return {}, [_no_file(label)] if path.is_symlink() or path.exists() else []
        text = _content(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return {}, [Problem(label, "error", "unreadable-env-file", f"the file cannot be read: {why}",
                            "save it as UTF-8 text that this user may read", label)]  # fmt: skip
    return _bindings(text, below, label)


def _no_file(label: str) -> Problem:
    # Not an error: some people's virtual environment is a folder of this name.
    message = "it is a folder, a link to nothing or something else that is no file, and nothing is read from it"
    fix = "mend the link, or give what is no file another name"
    return Problem(label, "warning", "unreadable-env-file", message, fix, label)


def _content(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(ENV_FILE_BYTES + 1)
    if len(content) > ENV_FILE_BYTES:
        raise ValueError("it is larger than 1 MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8") from None


def _bindings(text: str, below: Mapping[str, str], label: str) -> tuple[dict[str, Found], list[Problem]]:
    # Imported here: it costs, and most processes have no such file.
    from dotenv.parser import parse_stream
    from dotenv.variables import Variable, parse_variables

    found: dict[str, Found] = {}
    problems = []
    known: dict[str, str | None] = dict(below)
    for each in parse_stream(io.StringIO(text)):
        origin = f"{label}:{each.original.line + _blank_lines_before(each.original.string)}"
        if each.key is not None and each.value is not None:
            atoms = list(parse_variables(each.value))
            value = "".join(atom.resolve(known) for atom in atoms)
            open_names = [atom for atom in atoms if isinstance(atom, Variable) and atom.default is None]
            if not all(atom.resolve(known) for atom in open_names):
                problems.append(_empty_expansion(each.key, origin))
            if each.key in found and found[each.key][0] != value:
                problems.append(_repeated(each.key, found[each.key][1], origin))
            known[each.key] = value
            found[each.key] = (value, origin)
        elif each.error or each.key is not None:
            _forget(each.key, found, known)
            problems.append(_invalid_line(each.key, origin))
    return found, problems


def _empty_expansion(key: str, origin: str) -> Problem:
    # What the braces hold is not shown: they may be a part of a password.
    message = "a ${…} in it names what is not set here, and stands for nothing"
    fix = "set that name in a line above or in the environment, or write the value itself"
    return Problem(key, "warning", OF_A_NAME[0], message, fix, origin)


def _repeated(key: str, earlier: str, origin: str) -> Problem:
    message = f"it is set to something else in line {earlier.rpartition(':')[2]} of the same file; this line holds"
    return Problem(key, "warning", OF_A_NAME[1], message, "keep one of the two lines", origin)


def _forget(key: str | None, found: dict[str, Found], known: dict[str, str | None]) -> None:
    # To python-dotenv a name without "=" takes back what the file said of it above, for expansion too.
    if key is not None:
        found.pop(key, None)
        known[key] = None


def _blank_lines_before(original: str) -> int:
    return original[: len(original) - len(original.lstrip())].count("\n")


def _invalid_line(key: str | None, origin: str) -> Problem:
    # A line without a name may be the rest of a secret that was broken in two: it is not shown.
    name = key if key is not None and re.fullmatch(r"[A-Z][A-Z0-9_]{1,40}", key) else origin
    message = f"line {origin.rpartition(':')[2]} cannot be read as NAME=value"
    fix = "write NAME=value, close what begins with a quote, or begin a comment with #"
    return Problem(name, "error", "invalid-line", message, fix, origin)
