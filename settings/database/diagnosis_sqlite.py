"""What SQLite says when it fails, by the name of its result code, with cause and fix."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from settings.problems import Diagnosis


def _row(code: str, cause: str, fix: str, *, transient: bool = False) -> Diagnosis:
    return Diagnosis(f"sqlite-{code}", cause, fix, transient)


_READ_ONLY = _row(
    "read-only",
    "the file, its folder or its file system is read-only, or mode=ro is set",
    "make the file and its folder writable for this user, or name another path",
)
_INVALID = _row("statement-invalid", "SQLite does not take this statement", "correct it")
# By SQLite's own words: these faults share one result code.
_OF_STATEMENTS: Mapping[str, Diagnosis] = {
    "no such|has no column": _row("schema", "a table or a column is missing", "flask bootstrap migrate"),
    "already exists|duplicate column": _row(
        "exists", "it exists already", "find out who made it; another process may have been first"
    ),
}

FOLDER_UNUSABLE = _row(
    "folder",
    "the folder of the file cannot be made or written",
    "make it and let this user write in it, or correct the path",
)
NO_FILE = _row("no-file", "the path is a device, a pipe or a socket, which keeps no data", "name a file")

# Names of sqlite.org/rescode.html; an extended one that is not here counts as its primary one.
CODES_OF_SQLITE: Mapping[str, Diagnosis] = {
    "SQLITE_CANTOPEN": _row(
        "cannot-open",
        "the file cannot be opened: its folder is missing or closed to this user, or the path is a folder",
        "make the folder and let this user write in it, or correct the path",
    ),
    "SQLITE_CANTOPEN_ISDIR": _row("is-a-directory", "the path is a folder", "name a file: sqlite:////folder/app.db"),
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_READONLY_DBMOVED": _row(
        "moved",
        "the file was deleted or replaced while it was open; what is written now would be lost",
        "restart the service, and replace a database file only while nothing has it open",
    ),
    "SQLITE_FULL": _row("full", "the disk, or the database's max_page_count, is full", "free space; reading goes on"),
    "SQLITE_BUSY": _row(
        "locked",
        "another connection holds the lock of the file for longer than the time-out",
        "end or shorten the other transaction, or raise ?timeout=, or use PostgreSQL for many writers",
        transient=True,
    ),
    "SQLITE_BUSY_SNAPSHOT": _row(
        "snapshot",
        "another connection wrote after this transaction had read, so it cannot write any more",
        "retry the whole transaction, or begin it with execution_options(sqlite_begin='IMMEDIATE')",
        transient=True,
    ),
    "SQLITE_ABORT_ROLLBACK": _row(
        "rolled-back",
        "an earlier error in this transaction had SQLite roll it back by itself",
        "let that error end the transaction, or roll back, and run the whole transaction again",
    ),
    "SQLITE_BUSY_RECOVERY": _row(
        "recovering", "another process recovers the file after a crash", "wait and retry", transient=True
    ),
    "SQLITE_LOCKED": _row(
        "table-locked", "another statement of this process holds a table", "finish or close its result", transient=True
    ),
    "SQLITE_NOTADB": _row(
        "not-a-database",
        "the file is not a SQLite database, is encrypted, or is of a newer format; nothing in it was changed",
        "correct the path, or move that file away",
    ),
    "SQLITE_CORRUPT": _row(
        "corrupt",
        "the file is damaged; nothing in it was changed",
        "copy the file, then restore a backup or run `sqlite3 file .recover`",
    ),
    "SQLITE_IOERR": _row("io", "the file system failed to read or write", "look at the system's log and the disk"),
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_AUTH": _READ_ONLY,
    "SQLITE_NOMEM": _row("out-of-memory", "the process is out of memory", "give it more, or read less", transient=True),
    "SQLITE_INTERRUPT": _row(
        "interrupted", "the statement was ended after DATABASE_TIMEOUT", "make it faster, or raise DATABASE_TIMEOUT"
    ),
    "SQLITE_CONSTRAINT": _row("constraint", "the data break a constraint", "correct the data"),
    "SQLITE_TOOBIG": _row("too-big", "a value or a statement is larger than SQLite takes", "store less in one place"),
    "SQLITE_PROTOCOL": _row("protocol", "the locks of the file do not work", "move it off the network file system"),
    "SQLITE_SCHEMA": _row("schema-changed", "the tables changed meanwhile", "retry the statement", transient=True),
    "SQLITE_ERROR": _INVALID,
    "SQLITE_MISUSE": _row("misuse", "a connection was used in a way SQLite forbids", "report this as a defect"),
}


def by_name(name: str) -> Diagnosis | None:
    """Return what a result code says: by its extended name, or else by the primary one in front of it."""
    while name and name not in CODES_OF_SQLITE:
        name = name.rpartition("_")[0]
    return CODES_OF_SQLITE.get(name)


def by_words(name: str, words: str) -> Diagnosis | None:
    """Return what a result code says, or where that is any fault of a statement, what its words say, with them."""
    found = by_name(name)
    if found is not _INVALID:
        return found
    found = next((row for pattern, row in _OF_STATEMENTS.items() if re.search(pattern, words)), _INVALID)
    return replace(found, cause=f"{found.cause}: {words}")


def rows() -> Iterator[Diagnosis]:
    """Yield every diagnosis of these tables."""
    yield from CODES_OF_SQLITE.values()
    yield from _OF_STATEMENTS.values()
