"""Where values come from: environment, NAME_FILE, .env.<APP_ENV>, .env, .flaskenv; each with its origin."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from settings.dotenv_files import Found, read_dotenv
from settings.near_misses import nearest
from settings.problems import Problem

ENVIRONMENTS = ("development", "testing", "staging", "production")
SECRET_FILE_BYTES = 65536
"""More than any secret is long; a larger file is a mistake, not a secret."""
_SPELLED = {"dev": "development", "local": "development", "test": "testing", "stage": "staging", "prod": "production",
            "live": "production"}  # fmt: skip


class Value(NamedTuple):
    """A variable's text and where it came from: `environment`, `.env:3` or `NAME_FILE=/path`."""

    text: str
    origin: str


def stripped(text: str) -> str:
    """Return a value without surrounding white space and one surrounding pair of quotes."""
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def working_directory() -> Path:
    """Return the working directory; the path `.`, at which nothing is found, when it was removed meanwhile."""
    try:
        return Path.cwd()
    except OSError:
        return Path()


def likely_environment(text: str) -> str:
    """Return the environment that a text names or was meant to name; development when it is none."""
    word = text.lower()
    return _SPELLED.get(word) or nearest(word, ENVIRONMENTS, most=2) or "development"


class Sources:
    """Every place that a value may come from, read once; a value is looked up when it is asked for.

    Args:
        environ: The environment; never written to.
        folder: Where the files are. None: in APP_ENV_DIR, or else, as `flask run` looks for them, the nearest
            `.env` and `.flaskenv` from the working directory upwards, with `.env.<APP_ENV>` in the working directory.

    Attributes:
        problems: What is wrong with the sources themselves; grows while values are looked up.
        environment: The environment whose defaults and overlay are used: always one of the four.
        environ: The environment without what `flask run` copied into it.
        variables: Names that are settings themselves; of these none is taken for the NAME_FILE of another.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path | None = None) -> None:
        self.problems: list[Problem] = []
        self.variables: frozenset[str] = frozenset()
        self._known: dict[str, Value | None] = {}
        self.environ = _without_copies(environ)
        chosen = folder or self._chosen_folder()
        self._layers: list[Mapping[str, Value]] = [
            {each: Value(text, "environment") for each, text in self.environ.items()}
        ]
        for name in (".env", ".flaskenv"):
            path = chosen / name if chosen else _nearest_file(name)
            self._layers.append(self._read(path))
        self.environment = likely_environment(self.text("APP_ENV") or "development")
        overlay = (chosen or Path()) / f".env.{self.environment}"
        self._layers.insert(1, self._without_environment(self._read(overlay), overlay))
        self._known.clear()

    def value(self, name: str) -> Value | None:
        """Return a variable's value from its strongest source, or None when it is not set; empty is not set."""
        if name not in self._known:
            self._known[name] = next(self._found(name), None)
        return self._known[name]

    def text(self, name: str) -> str | None:
        """Return a variable's text, or None when it is not set."""
        value = self.value(name)
        return None if value is None else value.text

    def names(self) -> Iterator[tuple[str, str, str]]:
        """Yield name, text and source of everything that is anywhere, ours or not; each name of a layer once."""
        for layer in self._layers:
            for name, (text, origin) in layer.items():
                yield name, text, origin

    def _chosen_folder(self) -> Path | None:
        name = stripped(self.environ.get("APP_ENV_DIR", ""))
        if name and not _is_dir(name):
            fix = "name an existing folder, or unset APP_ENV_DIR to use the working directory"
            problem = Problem("APP_ENV_DIR", "error", "missing-folder", "it names no folder that can be read", fix)
            self.problems.append(problem)
        return Path(name) if name else None

    def _read(self, path: Path) -> Mapping[str, Value]:
        below = {each: text for layer in reversed(self._layers) for each, (text, _) in layer.items()}
        found, problems = read_dotenv(path, below, label=_label(path))
        self.problems += [each for each in problems if each not in self.problems]
        return {name: Value(*each) for name, each in found.items()}

    def _without_environment(self, layer: Mapping[str, Value], overlay: Path) -> Mapping[str, Value]:
        """Return an overlay without APP_ENV, which chose it and cannot be chosen by it."""
        inner = layer.get("APP_ENV")
        if inner is not None and stripped(inner.text) != self.environment:
            message = f"it cannot be changed by {overlay.name}, which is read because it is {self.environment}"
            fix = "remove the line, or set APP_ENV in the environment"
            self.problems.append(Problem("APP_ENV", "warning", "ignored-environment", message, fix, inner.origin))
        return {name: value for name, value in layer.items() if name != "APP_ENV"}

    def _found(self, name: str) -> Iterator[Value]:
        pointer = f"{name}_FILE"
        for layer in self._layers:
            own, file = (layer[each] if each in layer else Value("", "") for each in (name, pointer))
            file = Value("", "") if pointer in self.variables else file
            own, path = own._replace(text=stripped(own.text)), stripped(file.text)
            if own.text and path:
                fix = f"unset {name} or {pointer}"
                self._note(Problem(name, "error", "set-twice", f"{name} and {pointer} are both set", fix, own.origin))
            if own.text:
                yield own
            elif path and (text := self._secret_file(pointer, path, file.origin)):
                yield Value(text, f"{pointer}={_shown_path(path)}")

    def _secret_file(self, pointer: str, path: str, origin: str) -> str | None:
        cause = ""
        try:
            if not Path(path).is_file():  # also what would block: a pipe, a terminal
                cause = "is not a file" if Path(path).exists() else "does not exist"
            else:
                with Path(path).open("rb") as file:
                    content = file.read(SECRET_FILE_BYTES + 1)
                cause = "is larger than 64 KiB, which no secret is" if len(content) > SECRET_FILE_BYTES else ""
                if not cause:
                    return self._filled(stripped(content.decode("utf-8-sig")), pointer, path, origin)
        except UnicodeDecodeError:
            cause = "is not UTF-8 text"
        except (OSError, ValueError) as error:
            cause = f"cannot be read: {getattr(error, 'strerror', None) or 'its name is no path'}"
        fix = f"let {pointer} name a readable file that holds the value alone"
        self._note(Problem(pointer, "error", "unreadable-file", f"{_shown_path(path)} {cause}", fix, origin))
        return None

    def _filled(self, text: str, pointer: str, path: str, origin: str) -> str:
        if not text:
            message = f"{_shown_path(path)} is empty, which counts as not set"
            fix = f"write the value into it, or unset {pointer}"
            self._note(Problem(pointer, "warning", "empty-file", message, fix, origin))
        return text

    def _note(self, problem: Problem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _without_copies(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment without what the `flask` command copied from .env and .flaskenv into it.

    What came from a file counts as coming from that file: an overlay is stronger, and the origin is the line.
    """
    skipped = environ.get("FLASK_SKIP_DOTENV", "").lower() in ("1", "true", "yes", "t", "y", "on")
    if environ.get("FLASK_RUN_FROM_CLI") != "true" or skipped:
        return environ
    copied: dict[str, Found] = {}
    for name in (".flaskenv", ".env"):
        copied |= read_dotenv(_nearest_file(name), environ, label=name)[0]
    return {name: text for name, text in environ.items() if name not in copied or copied[name][0] != text}


def _nearest_file(name: str) -> Path:
    """Return the file in the working directory, or else in the nearest folder above it that has one.

    Where none has one, it is the path in the working directory, at which something else may stand.
    """
    here = working_directory()
    return next((each / name for each in (here, *here.parents) if (each / name).is_file()), here / name)


def _label(path: Path) -> str:
    """Return how a file is named in an origin: its name, or where it is when that is a folder above."""
    here = working_directory()
    if path.is_absolute() and path.parent != here and path.parent in here.parents:
        return os.path.relpath(path)
    return path.name


def _is_dir(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):
        return False


def _shown_path(path: str) -> str:
    """Return a path for people; not what may be the secret itself, put where its file should be named."""
    plain = re.fullmatch(r"[./~]?[\w./~ -]{1,200}", path) is not None
    return path if plain and "/" in path and _is_dir(os.path.dirname(path) or "/") else "the file"  # noqa: PTH120 - text
