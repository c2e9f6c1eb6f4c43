"""`DATABASE_URL` read and normalised, without importing any database library."""

import re
from pathlib import Path

from settings.database.config import DatabaseConfig, DatabaseType, UnusableURLError, ValidationResult
from settings.database.url_sqlite import parse_sqlite

__all__ = ["DatabaseConfig", "DatabaseType", "DatabaseURLParser", "ValidationResult"]

_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9]*)(?:\+(?P<driver>[A-Za-z0-9_]+))?://(?P<rest>.*)", re.DOTALL)
_TYPES = {
    re.compile(r"postgres(?:ql)?", re.IGNORECASE): DatabaseType.POSTGRESQL,
    re.compile(r"sqlite", re.IGNORECASE): DatabaseType.SQLITE,
}
_DRIVERS = {DatabaseType.POSTGRESQL: "psycopg2", DatabaseType.SQLITE: "pysqlite"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORMS = "use postgresql://user:<password>@host:5432/database or sqlite:///file.db"


def _type_of(name: str) -> DatabaseType:
    return next((found for pattern, found in _TYPES.items() if pattern.fullmatch(name)), DatabaseType.UNKNOWN)


def _checked(url: object) -> str:
    if not isinstance(url, str) or not url.strip():
        raise UnusableURLError("empty-url", "no database URL is given", _FORMS)
    text = url.strip()
    if _CONTROL.search(text):
        raise UnusableURLError("invalid-character", "the URL holds a control character", "percent-encode or remove it")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UnusableURLError("invalid-encoding", "the URL is not valid UTF-8", "write it in UTF-8")
    return text


def _split(text: str) -> tuple[DatabaseType, str]:
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise UnusableURLError("malformed-url", "this is not a URL: there is no scheme followed by ://", _FORMS)
    kind, driver = _type_of(found["name"]), found["driver"]
    if kind is DatabaseType.UNKNOWN:
        raise UnusableURLError(
            "unknown-scheme", f"the scheme {found['name']!r} names no database that is served", _FORMS
        )
    if driver is not None and driver.lower() != _DRIVERS[kind]:
        message = f"the driver {driver!r} is not installed; {kind.value} is spoken by {_DRIVERS[kind]} only"
        raise UnusableURLError("unknown-driver", message, f"begin with {kind.value}://")
    return kind, found["rest"]


def _parse_postgresql(rest: str) -> DatabaseConfig:
    # Imported here: who uses SQLite does not pay for it.
    from settings.database.url_postgresql import parse_postgresql

    return parse_postgresql(rest)


class DatabaseURLParser:
    """Reads database URLs; needs no instance and keeps nothing."""

    @staticmethod
    def detect_database_type(url: str) -> DatabaseType:
        """Return the type that the scheme names, whatever else the URL says; never raises."""
        found = _SCHEME.match(url.strip()) if isinstance(url, str) else None
        return DatabaseType.UNKNOWN if found is None else _type_of(found["name"])

    @staticmethod
    def parse_url(url: str, *, folder: Path | None = None) -> DatabaseConfig:
        """Return the parts of `url`, valid or not; never raises.

        What is called valid is what SQLAlchemy, with psycopg2 or pysqlite, opens: with the same host, port, database,
        user, password and options. What SQLAlchemy would open differently from what the text seems to say is refused.

        Args:
            url: As the user wrote it.
            folder: What a relative SQLite path is relative to; the working directory when None.
        """
        kind = DatabaseURLParser.detect_database_type(url)
        try:
            kind, rest = _split(_checked(url))
            return _parse_postgresql(rest) if kind is DatabaseType.POSTGRESQL else parse_sqlite(rest, folder)
        except UnusableURLError as refusal:
            return DatabaseConfig(
                kind,
                url if isinstance(url, str) else "",
                is_valid=False,
                error_message=refusal.message,
                code=refusal.code,
                fix=refusal.fix,
            )

    @staticmethod
    def validate_url(url: str) -> ValidationResult:
        """Return the verdict on `url`, with a fix where it is not valid; never raises and opens nothing."""
        config = DatabaseURLParser.parse_url(url)
        return ValidationResult(config.is_valid, config.error_message, config.warnings, config.code, config.fix)
