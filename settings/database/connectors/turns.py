"""SQLite connections of our own: one that threads share by turns, and one whose statements end by a deadline."""

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, TypeVar

from settings.database.deadline import Watchdog
from settings.forks import watch_forks

T = TypeVar("T")


def refusal(words: str, name: str) -> sqlite3.OperationalError:
    """Return an error as SQLite itself would raise it, so that one diagnosis serves both."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error


class OwnConnection(sqlite3.Connection):
    """A connection under a watchdog."""

    watchdog: Watchdog | None = None

    def opening(self, mode: str) -> str:
        """Return the statement that begins a transaction: DEFERRED, IMMEDIATE or EXCLUSIVE."""
        return f"BEGIN {mode}"

    def cut(self) -> None:
        """Interrupt the statement that runs now."""
        self.interrupt()

    def cursor(self, factory: Any = None) -> Any:  # noqa: ANN401 - sqlite3's signature
        """Return a cursor; one with a deadline where there is a watchdog."""
        return super().cursor(WatchedCursor if factory is None else factory)


class WatchedCursor(sqlite3.Cursor):
    """A cursor whose work ends by the deadline of its connection; SQLite works while rows are fetched, too."""

    connection: OwnConnection

    def _bounded(self, operation: Callable[..., T], *arguments: object) -> T:
        watchdog = self.connection.watchdog
        seconds = inf if watchdog is None else watchdog.allowed()
        if watchdog is None or seconds == inf:
            return operation(*arguments)
        watchdog.arm(self.connection, seconds)
        try:
            return operation(*arguments)
        finally:
            watchdog.disarm(self.connection)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:  # noqa: ANN401 - sqlite3's signature
        """Execute one statement."""
        return self._bounded(super().execute, sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:  # noqa: ANN401 - sqlite3's signature
        """Execute one statement for each set of values."""
        return self._bounded(super().executemany, sql, parameters)

    def fetchone(self) -> Any:  # noqa: ANN401 - sqlite3's signature
        """Fetch a row."""
        return self._bounded(super().fetchone)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Fetch some rows."""
        return self._bounded(super().fetchmany, self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        """Fetch the rows left."""
        return self._bounded(super().fetchall)


class SharedConnection(OwnConnection):
    """The one connection of a memory database.

    A transaction has it for itself: another thread waits for its turn, as it would for the lock of a file, and one that
    the same thread begins meanwhile is a savepoint in the first.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - sqlite3's own
        super().__init__(*arguments, **options)
        self._wait_seconds = float(options.get("timeout", 5.0))
        self._turn = threading.Condition(threading.RLock())
        self._owner: int | None = None
        self._depth = 0
        watch_forks(self)

    def opening(self, mode: str) -> str:
        """Return what begins a transaction when this thread's turn comes, or a savepoint in the one it has.

        Raises:
            sqlite3.OperationalError: When another thread's transaction outlasts the busy time-out.
        """
        me = threading.get_ident()
        with self._turn:
            if not self._turn.wait_for(lambda: self._owner in {None, me}, self._wait_seconds):
                raise refusal("database is locked by another thread's transaction", "SQLITE_BUSY")
            self._owner, self._depth = me, self._depth + 1
            return f"SAVEPOINT s{self._depth - 1}" if self._depth > 1 else f"BEGIN {mode}"

    def commit(self) -> None:
        """Commit the transaction, or release the savepoint; nothing where there is none."""
        self._end(super().commit, "RELEASE s{0}")

    def rollback(self) -> None:
        """Roll the transaction back, or what came after the savepoint; nothing where there is none."""
        self._end(super().rollback, "ROLLBACK TO s{0}", "RELEASE s{0}")

    def _end(self, outermost: Callable[[], None], *savepoint: str) -> None:
        with self._turn:
            if not self._depth:
                return
            if self._depth > 1:
                for statement in savepoint:
                    self.execute(statement.format(self._depth - 1))
            else:
                outermost()
            self._depth -= 1
            if not self._depth:
                self._owner = None
                self._turn.notify_all()

    def before_fork(self) -> None:
        """Take the lock; not the turn, which may be long."""
        self._turn.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._turn.release()

    def after_fork_in_child(self) -> None:
        """Begin anew on the child's own copy of the memory, without the transaction of a thread that is not here."""
        if self.in_transaction:
            super().rollback()
        self._turn = threading.Condition(threading.RLock())
        self._owner, self._depth = None, 0


def factory(kind: type[OwnConnection], watchdog: Watchdog) -> Callable[..., OwnConnection]:
    """Return what sqlite3.connect takes as `factory`."""
    return partial(_made, kind, watchdog)


def _made(kind: type[OwnConnection], watchdog: Watchdog, *arguments: Any, **options: Any) -> OwnConnection:  # noqa: ANN401 - sqlite3's own
    made = kind(*arguments, **options)
    made.watchdog = watchdog
    return made
