"""SQLite URLs: memory, files, `file:` URIs, the options of pysqlite and those of SQLite."""

import ntpath
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from settings.database.config import DatabaseConfig, DatabaseType, UnusableURLError, render_url
from settings.database.url_options import FALSE, TRUE, decoded, each_once, read_options

_SHAPE = re.compile(r"(?P<authority>[^/?]*)(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL)
_URI_VALUES: Mapping[str, frozenset[str] | None] = {
    # https://www.sqlite.org/uri.html: SQLite ignores names it does not know, so a misspelt one would be silent.
    "mode": frozenset({"ro", "rw", "rwc", "memory"}),
    "cache": frozenset({"shared", "private"}),
    "immutable": None,
    "modeof": None,
    "nolock": None,
    "psow": None,
    "vfs": None,
}
_DRIVER_OPTIONS = frozenset(
    {"uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"}
)
_LEVELS = frozenset({"DEFERRED", "IMMEDIATE", "EXCLUSIVE"})
_FORMS = "use sqlite:///relative.db, sqlite:////absolute/path.db or sqlite:///:memory:"


def _is_true(value: str) -> bool:
    return value.strip().lower() in TRUE


def _is_number(value: str) -> bool:
    return re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value) is not None


def _bad(name: str, wanted: str) -> UnusableURLError:
    return UnusableURLError(
        "invalid-option", f"the value of the option {name!r} cannot be used", f"let {name} be {wanted}"
    )


def _check_driver_options(options: Mapping[str, str]) -> None:
    for name in {"uri", "check_same_thread"} & options.keys():
        if options[name].strip().lower() not in TRUE | FALSE:
            raise _bad(name, "true or false")
    if not _is_number(options.get("timeout", "0")):
        raise _bad("timeout", "a number of seconds, such as 5")
    for name in {"detect_types", "cached_statements"} & options.keys():
        if not re.fullmatch(r"\d{1,9}", options[name]):
            raise _bad(name, "a whole number")
    if options.get("isolation_level", "DEFERRED").upper() not in _LEVELS:
        raise _bad("isolation_level", "DEFERRED, IMMEDIATE or EXCLUSIVE")


def _check_uri_options(options: Mapping[str, str]) -> None:
    foreign = sorted(options.keys() - _DRIVER_OPTIONS)
    if foreign and not _is_true(options.get("uri", "false")):
        message = f"the option {foreign[0]!r} would be ignored: without uri=true, SQLite takes no options of its own"
        fix = "write sqlite:///file:/path/app.db?mode=ro&uri=true, or remove the option"
        raise UnusableURLError("unknown-option", message, fix)
    for name in foreign:
        if name not in _URI_VALUES:
            fix = "use " + ", ".join(sorted(_DRIVER_OPTIONS | _URI_VALUES.keys()))
            raise UnusableURLError("unknown-option", f"SQLite knows no option {name!r}", fix)
        allowed = _URI_VALUES[name]
        if allowed is not None and options[name] not in allowed:
            raise _bad(name, " or ".join(sorted(allowed)))
        if set(options[name]) & set("&#%"):
            raise _bad(name, "a plain word")


def _absolute(path: str, folder: Path | None) -> str:
    # not resolve(): pysqlite opens what abspath() gives, and the database of a symbolic link stays the link's
    whole = Path(path) if path.startswith("/") else (folder or Path.cwd()) / path
    return os.path.abspath(whole)  # noqa: PTH100 - pathlib has no abspath that removes ".."


def _absolute_uri(uri: str, folder: Path | None) -> str:
    """Return a `file:` URI whose path is absolute; SQLite itself decodes what is percent-encoded in it."""
    path = uri.removeprefix("file:")
    if path.startswith("//") and not path.startswith(("///", "//localhost/")):
        raise UnusableURLError(
            "invalid-path", "a file: URI can name no host but localhost", "write file:/absolute/path.db"
        )
    if path.startswith("/") or (os.name == "nt" and ntpath.splitdrive(path)[0]):
        return uri
    base = quote(str(Path.cwd() if folder is None else folder.absolute()))
    return f"file:{base}/{path}"


def _database(path: str, options: Mapping[str, str], folder: Path | None) -> str:
    uri = _is_true(options.get("uri", "false"))
    if path in {"", ":memory:"}:
        if uri and path == "":
            raise UnusableURLError(
                "missing-database", "uri=true without a file: URI", "write sqlite:///file:/path/app.db?uri=true"
            )
        return ":memory:"
    if not uri:
        if path.startswith("file:"):
            fix = "add uri=true to the options, or remove file:"
            raise UnusableURLError("invalid-path", "a file: URI is taken for a file name without uri=true", fix)
        return _absolute(path, folder)
    if not path.startswith("file:"):
        raise UnusableURLError(
            "invalid-path", "uri=true needs a file: URI", "write sqlite:///file:/path/app.db?uri=true"
        )
    if "#" in path or "?" in path:
        raise UnusableURLError(
            "invalid-path", "a file: URI cannot hold # or ? in its path", "write them as %2523 and %253F"
        )
    if options.get("mode") == "memory" or path == "file::memory:":
        return path
    return _absolute_uri(path, folder)


def _warnings(path: str) -> tuple[str, ...]:
    found = []
    if re.match(r"/?[A-Za-z]:[\\/]|\\\\", path) and os.name != "nt":
        cause = "this is a Windows path, which here is a file of that name in the working directory"
        found.append(f"{cause}; write the path of this system, as in sqlite:////srv/app.db")
    if path.startswith("~"):
        cause = "~ is not expanded: it is a folder of that name in the working directory"
        found.append(f"{cause}; write the whole path, as in sqlite:////home/shop/app.db")
    if path.endswith("/"):
        found.append("the path ends with /, which names a folder; name a file in it, as in sqlite:///folder/app.db")
    return tuple(found)


def parse_sqlite(rest: str, folder: Path | None) -> DatabaseConfig:
    """Return the parts of a SQLite URL, of which `rest` stands behind `://`.

    Raises:
        UnusableURLError: When pysqlite would not open it, or would open something else than it seems to say.
    """
    shape = _SHAPE.fullmatch(rest)
    if shape is None or shape["authority"]:
        raise UnusableURLError("invalid-path", "what stands between :// and the next / would be a host", _FORMS)
    options = each_once(read_options(shape["query"]))
    _check_driver_options(options)
    _check_uri_options(options)
    path = decoded(shape["path"] or "", "path")
    if not path.startswith("file:") and re.match(r"(?s)(?![A-Za-z]:[\\/])[^/:@]*:.*@|[\w+.-]+://", path):
        message = "it holds what stands in front of a server's host, which a file has not"
        raise UnusableURLError("invalid-path", message, f"begin it with postgresql://, or {_FORMS}")
    try:
        database = _database(path, options, folder)
    except FileNotFoundError:
        message = "it is relative to the working directory, which was removed"
        raise UnusableURLError("missing-folder", message, "start in a folder that exists, or write it whole") from None
    return DatabaseConfig(
        DatabaseType.SQLITE,
        render_url("sqlite+pysqlite", database=database, query=options),
        driver="pysqlite",
        options=options,
        database=database,
        warnings=_warnings(path),
    )
