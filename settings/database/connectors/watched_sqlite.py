"""sqlite3's connection and cursor, each of whose statements ends by a deadline."""

import sqlite3
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, ClassVar, NoReturn, TypeVar

from settings.database.deadline import Watchdog
from settings.forks import watch_forks

T = TypeVar("T")


def refusal(words: str, name: str) -> sqlite3.OperationalError:
    """Return an error as SQLite itself would raise it, so that one diagnosis serves both."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error


class OwnConnection(sqlite3.Connection):
    """A connection under a watchdog that never begins a transaction by itself.

    It serves the process that made it: in a child forked while it was in use it neither speaks nor ends, because the
    locks and the shared index of the file are the parent's (sqlite.org/howtocorrupt.html, 2.6).
    """

    watchdog: Watchdog | None = None
    given_up = False
    # What is left of a parent's connections; sqlite3 closes one that nobody refers to.
    inherited: ClassVar[list[sqlite3.Connection]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        watch_forks(self, first=True)

    @property
    def isolation_level(self) -> None:
        """Always None: who wants a transaction says BEGIN."""

    @isolation_level.setter
    def isolation_level(self, _level: str | None) -> None:
        # SQLAlchemy sets it to "" after AUTOCOMMIT, and pysqlite would then begin transactions on its own.
        return

    def cut(self) -> None:
        """Interrupt the statement that runs now."""
        self.interrupt()

    def commit(self) -> None:
        """Commit what is open."""
        if self.given_up:
            say_that_it_is_over()
        super().commit()

    def rollback(self) -> None:
        """Roll back what is open."""
        self.begin_anew()
        super().rollback()

    def give_up(self) -> None:
        """Where SQLite has ended the transaction by itself, refuse all until its rollback: each would be committed."""
        if not self.in_transaction and "cursor" not in self.__dict__:
            self.given_up = True
            self.__dict__["cursor"] = say_that_it_is_over  # on the instance, so that nothing stands in the way before

    def begin_anew(self) -> None:
        """Serve the next transaction."""
        if self.given_up:
            self.given_up = False
            del self.__dict__["cursor"]

    def before_fork(self) -> None:
        """Let a statement that runs go on."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Be of no use here, and stay as it is."""
        self.given_up = False
        # On the instance, so that in the parent nothing stands between SQLAlchemy and sqlite3.
        self.__dict__.update(cursor=_refuse, execute=_refuse, executemany=_refuse, executescript=_refuse)
        self.__dict__.update(commit=_nothing, rollback=_nothing, close=_nothing, watchdog=_Refusal())
        self.inherited.append(self)

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


class _Refusal(Watchdog):
    """The watchdog of a connection in a child of its process: a cursor that was open at the fork may do nothing."""

    def allowed(self) -> float:
        """Refuse."""
        _refuse()
        return 0.0


def _nothing() -> None:
    """Do nothing."""


def _refuse(*_arguments: object) -> None:
    raise refusal("this connection belongs to the process that forked this one", "SQLITE_MISUSE")


def say_that_it_is_over(*_arguments: object) -> NoReturn:
    """Refuse what would be committed although the transaction was rolled back."""
    raise refusal(
        "this transaction is over: after an error SQLite rolled it back by itself. Fix: roll back, then run it again",
        "SQLITE_ABORT_ROLLBACK",
    )


def factory(kind: type[OwnConnection], watchdog: Watchdog) -> Callable[..., OwnConnection]:
    """Return what sqlite3.connect takes as `factory`."""
    return partial(_made, kind, watchdog)


def _made(kind: type[OwnConnection], watchdog: Watchdog, *arguments: Any, **options: Any) -> OwnConnection:
    made = kind(*arguments, **options)
    made.watchdog = watchdog
    return made
