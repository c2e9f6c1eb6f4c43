"""From what a database driver raises to cause and fix: one table for PostgreSQL, one for SQLite, one for the rest."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from settings.database import diagnosis_connecting, diagnosis_postgresql, diagnosis_sqlite
from settings.problems import BootstrapError, Diagnosis, mask_secrets

DEADLINE = Diagnosis(
    "database-deadline",
    "the database gave no answer within the client's deadline, and the connection was closed; "
    "whether a commit under way took effect is not known",
    "look at the server and the network, or raise DATABASE_TIMEOUT",
    transient=True,
)
INVALID_URL = Diagnosis("database-url-invalid", "the URL cannot be used", "run `python -m settings check`")
NOT_CONFIGURED = Diagnosis(
    "database-not-configured", "no usable DATABASE_URL is set", "set it, and run `python -m settings check`"
)
FILE_GONE = Diagnosis(
    "sqlite-file-gone",
    "the SQLite file was deleted or moved away while it is in use; what is written now is lost",
    "put it back and restart the service",
)
INTERRUPTED = Diagnosis("database-connect-stopped", "connecting was stopped because the process ends", "start it again")

# By the name of the class, so that this module needs neither SQLAlchemy nor a driver.
_CLASSES: Mapping[str, Diagnosis] = {
    "DeadlineExceededError": DEADLINE,
    "NoSuchModuleError": Diagnosis(
        "database-dialect-unknown", "SQLAlchemy knows no such database", "begin the URL with postgresql:// or sqlite://"
    ),
    "ModuleNotFoundError": Diagnosis(
        "database-driver-missing", "the driver that the URL asks for is not installed", "begin it with postgresql://"
    ),
    "ArgumentError": INVALID_URL,
    "UnicodeEncodeError": INVALID_URL,
    "ValueError": INVALID_URL,
    "TimeoutError": Diagnosis(
        "database-pool-exhausted",
        "every connection of the pool was in use for DATABASE_POOL_TIMEOUT",
        "find what keeps connections, or raise DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW",
        transient=True,
    ),
    "MemoryError": Diagnosis("database-client-memory", "this process is out of memory", "give it more, or read less"),
    "ResourceClosedError": Diagnosis("database-closed-result", "the result or connection was closed", "open it again"),
}
_OTHER_THREAD = Diagnosis(
    "sqlite-thread", "a connection was used in another thread than its own", "remove check_same_thread from the URL"
)
_UNKNOWN = "database-unknown-fault"
CODES: frozenset[str] = frozenset(
    {found.code for found in (*diagnosis_postgresql.rows(), *diagnosis_sqlite.rows())}
    | {found.code for found in (*_CLASSES.values(), INVALID_URL, NOT_CONFIGURED, INTERRUPTED, FILE_GONE, _OTHER_THREAD)}
    | {diagnosis_sqlite.FOLDER_UNUSABLE.code, diagnosis_sqlite.NO_FILE.code, _UNKNOWN}
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield what the driver raised before what wraps it: SQLAlchemy keeps it in `orig`."""
    inner = getattr(error, "orig", None)
    if isinstance(inner, BaseException):
        yield inner
    yield error
    if error.__cause__ is not None and error.__cause__ is not inner:
        yield error.__cause__


def _of_class(error: BaseException) -> Diagnosis | None:
    return next((_CLASSES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CLASSES), None)


def _of_one(error: BaseException, secrets: Collection[str]) -> Diagnosis | None:
    if type(error).__name__ == "DeadlineExceededError":
        return DEADLINE
    name = getattr(error, "sqlite_errorname", None)
    if isinstance(name, str):
        return diagnosis_sqlite.by_words(name, _words(error, secrets))
    text = str(error)
    if text.startswith("SQLite objects created in a thread"):
        return _OTHER_THREAD
    if type(error).__module__.startswith("psycopg2"):
        state = getattr(error, "pgcode", None)
        return diagnosis_postgresql.by_words(state, _words(error, secrets)) or diagnosis_connecting.by_text(text)
    return _of_class(error)


def _words(error: BaseException, secrets: Collection[str]) -> str:
    """Return what was said, masked, on one line: PostgreSQL's message without the statement that follows it."""
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    return " ".join(mask_secrets(said, secrets).split())[:300]


def _unknown(error: BaseException, target: str, secrets: Collection[str]) -> Diagnosis:
    inner = next(_chain(error))
    words = _words(inner, secrets) or "nothing"
    where = f" with {target}" if target else ""
    cause = f"a fault{where} that is not known here ({type(inner).__name__}); it said: {words}"
    # A server that fails in words we do not know (another language) may come up; a wrong setting never does.
    transient = type(inner).__name__ in {"OperationalError", "InterfaceError"} and "invalid" not in words.lower()
    return Diagnosis(_UNKNOWN, cause, "look at the server's log, and at DATABASE_URL", transient)


def diagnose_database(
    error: BaseException, *, variable: str = "DATABASE_URL", target: str = "", secrets: Collection[str] = ()
) -> Diagnosis:
    """Return cause and fix of what SQLAlchemy, psycopg2 or sqlite3 raised; never raises and never shows a password.

    Args:
        error: The exception, wrapped by SQLAlchemy or not.
        variable: The variable that names the database; the fix speaks of it.
        target: The masked URL, for a fault that is not in the tables.
        secrets: Texts to mask should the server repeat them.
    """
    if isinstance(error, BootstrapError):
        return error.diagnosis
    known = (_of_one(each, secrets) for each in _chain(error))
    found = next((each for each in known if each is not None), None)
    # A value that the type of a column refuses says nothing of the URL.
    if found is None or (found is INVALID_URL and hasattr(error, "statement")):
        found = _unknown(error, target, secrets)
    return replace(found, fix=found.fix.replace("DATABASE_URL", variable))
