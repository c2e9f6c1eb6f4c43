"""What a database URL says, as values: types, parsed parts, verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from settings.problems import MASK, mask_urls

SECRET_OPTIONS = frozenset({"password", "sslpassword"})


class DatabaseType(StrEnum):
    """The databases that are served, told apart by the scheme of the URL."""

    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"
    UNKNOWN = "unknown"


class UnusableURLError(ValueError):
    """A URL that no database can be opened with; never leaves this room.

    Attributes:
        code: Stable kebab-case word, such as `invalid-port`.
        message: What is wrong, without any part of the URL that may be secret.
        fix: What to write instead.
    """

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(code, message, fix)
        self.code, self.message, self.fix = code, message, fix


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The verdict on one URL.

    Attributes:
        is_valid: Whether the driver opens it.
        error_message: What is wrong, masked; empty when valid.
        warnings: What is allowed but seldom meant, masked: each a cause, and behind "; " what to do.
        code: Stable kebab-case word of the error; empty when valid.
        fix: What to write instead; empty when valid.
    """

    is_valid: bool
    error_message: str = ""
    warnings: tuple[str, ...] = ()
    code: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseConfig:
    """The parts of one database URL, decoded, as the driver gets them.

    Attributes:
        type: Which database.
        connection_string: The normalised URL, with its driver, decoded parts encoded anew and a SQLite path made
            absolute. The real one, password and all; only its repr is masked. The original text when invalid.
        driver: `psycopg2` or `pysqlite`; empty when invalid.
        options: What the user wrote behind the question mark and is not a part below, decoded. These win over ours.
        is_valid: Whether SQLAlchemy opens `connection_string`.
        error_message: What is wrong, masked; empty when valid.
        host: Host name, address, socket directory, or several with commas; None is the driver's default.
        port: One port, or several with commas as libpq writes them; None is the driver's default.
        database: Database name; for SQLite the absolute path, a `file:` URI, or `:memory:`.
        username: Decoded user name.
        password: Decoded password.
        code: Stable kebab-case word of the error; empty when valid.
        fix: What to write instead; empty when valid.
        warnings: What is allowed but seldom meant, masked: each a cause, and behind "; " what to do.
    """

    type: DatabaseType
    connection_string: str
    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    is_valid: bool = True
    error_message: str = ""
    host: str | None = None
    port: int | str | None = None
    database: str | None = None
    username: str | None = None
    password: str | None = None
    code: str = ""
    fix: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def is_memory(self) -> bool:
        """Whether this is a SQLite database that lives in this process only."""
        if self.type is not DatabaseType.SQLITE or self.database is None:
            return False
        return self.database in {":memory:", "file::memory:"} or self.options.get("mode") == "memory"

    @property
    def file(self) -> Path | None:
        """The file that a SQLite URL opens; None for one in memory, and for every other database."""
        if self.type is not DatabaseType.SQLITE or self.is_memory or not self.database:
            return None
        if not self.database.startswith("file:"):
            return Path(self.database)
        return Path(unquote(self.database.removeprefix("file:").removeprefix("//localhost")))

    @property
    def target(self) -> str:
        """The URL for people: without its driver, its password and every secret option masked."""
        scheme, mark, rest = mask_urls(self.connection_string).partition("://")
        return f"{scheme.partition('+')[0]}{mark}{rest}" if self.is_valid else ""

    @property
    def secrets(self) -> set[str]:
        """What no text may show, decoded: a server or a driver may repeat it."""
        found = {self.password, *(self.options.get(name) for name in SECRET_OPTIONS)}
        return {each for each in found if each}

    def query(self) -> dict[str, str]:
        """Return what stands behind the question mark: the options, and hosts that fit nowhere else in a URL."""
        placed = dict(self.options)
        if self.host is not None and not fits_authority(self.host):
            placed["host"] = self.host
            if self.port is not None:
                placed["port"] = str(self.port)
        return placed

    def __repr__(self) -> str:
        password = None if self.password is None else MASK
        hidden = {name: MASK if name in SECRET_OPTIONS else value for name, value in self.options.items()}
        return (
            f"DatabaseConfig(type={self.type.value!r}, connection_string={self.target!r}, driver={self.driver!r}, "
            f"options={hidden!r}, is_valid={self.is_valid!r}, error_message={self.error_message!r}, "
            f"host={self.host!r}, port={self.port!r}, database={self.database!r}, username={self.username!r}, "
            f"password={password!r})"
        )


def fits_authority(host: str) -> bool:
    """Say whether a host can stand before the path of a URL.

    Socket directories and lists of hosts cannot, nor what holds a %: libpq decodes it there, and SQLAlchemy does not.
    """
    return not host.startswith(("/", "@")) and "," not in host and "%" not in host


def render_url(
    drivername: str, *, userinfo: str = "", authority: str = "", database: str | None, query: Mapping[str, str]
) -> str:
    """Return a URL whose parts SQLAlchemy reads back as they are given, options in alphabetical order."""
    path = "" if database is None else "/" + _encoded(database, "%?@" if userinfo or authority else "%?")
    options = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(query.items()))
    return f"{drivername}://{userinfo}{authority}{path}{'?' + options if options else ''}"


def _encoded(database: str, marks: str) -> str:
    """Encode as little as SQLAlchemy 2.1 needs, because 2.0 takes a database name as it stands."""
    body = database.rstrip()
    plain = "".join(quote(each) if each in marks or not each.isprintable() else each for each in body)
    return plain + quote(database[len(body) :])
