"""Where values come from, in order: environment, NAME_FILE, .env.<APP_ENV>, .env; each with its origin."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from settings.problems import Problem

SECRET_FILE_BYTES = 65536
"""More than any secret is long; a larger file is a mistake, not a secret."""


@dataclass(slots=True)
class Layers:
    """What was read: variable to (text, origin), and the problems of reading."""

    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """Return a variable's text, or None when it is not set."""
        return self.values[name][0] if name in self.values else None


def stripped(text: str) -> str:
    """Return a value without surrounding white space and one surrounding pair of quotes."""
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def read_layers(names: Iterable[str], environ: Mapping[str, str], folder: Path) -> Layers:
    """Read the known variables from all sources, the strongest last; an empty value is not set."""
    known, layers = list(names), Layers()
    _read_dotenv(folder / ".env", environ, layers)
    environment = stripped(environ.get("APP_ENV", "")) or layers.text("APP_ENV") or "development"
    if environment.isalnum():
        _read_dotenv(folder / f".env.{environment}", environ, layers)
    for name in known:
        _read_secret_file(name, environ, layers)
    for name in known:
        if stripped(environ.get(name, "")):
            layers.values[name] = (stripped(environ[name]), "environment")
    return layers


def _read_dotenv(path: Path, environ: Mapping[str, str], layers: Layers) -> None:
    from dotenv.main import resolve_variables
    from dotenv.parser import parse_stream

    if not path.is_file():
        return
    try:
        bindings = list(parse_stream(io.StringIO(path.read_text("utf-8"))))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path.name} cannot be read as UTF-8 text ({type(error).__name__})"
        layers.problems.append(
            Problem("APP_ENV", "error", "unreadable-env-file", message, "save it as UTF-8", path.name)
        )
        return
    raw = [(each.key, each.value) for each in bindings if each.key is not None]
    resolved = resolve_variables([*((k, v) for k, v in environ.items() if k not in dict(raw)), *raw], override=True)
    for each in bindings:
        _take_binding(path.name, each.key, each.original.line, each.error, resolved, layers)


def _take_binding(
    file: str, key: str | None, line: int, error: bool, resolved: Mapping[str, str | None], layers: Layers
) -> None:
    if key is not None and (value := resolved.get(key)) is not None and stripped(value):
        layers.values[key] = (stripped(value), f"{file}:{line}")
    elif error or (key is not None and resolved.get(key) is None):
        fix = "write NAME=value, or begin a comment with #"
        layers.problems.append(
            Problem(key or file, "error", "invalid-line", f"line {line} of {file} has no '='", fix, f"{file}:{line}")
        )


def _read_secret_file(name: str, environ: Mapping[str, str], layers: Layers) -> None:
    variable = f"{name}_FILE"
    path = stripped(environ.get(variable, ""))
    if not path:
        return
    if stripped(environ.get(name, "")):
        message = f"{name} and {variable} are both set"
        layers.problems.append(Problem(name, "error", "set-twice", message, "unset one of the two", "environment"))
        return
    try:
        with Path(path).open("rb") as file:
            content = file.read(SECRET_FILE_BYTES + 1)
        text = stripped(content.decode("utf-8"))
        if len(content) > SECRET_FILE_BYTES:
            raise ValueError("larger than 64 KiB")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a UTF-8 text of at most 64 KiB"
        problem = Problem(
            variable, "error", "unreadable-file", f"the file cannot be used: {reason}",
            "name a readable file that holds the value alone", "environment",
        )  # fmt: skip
        layers.problems.append(problem)
        return
    if text:
        layers.values[name] = (text, f"{variable}={path}")
