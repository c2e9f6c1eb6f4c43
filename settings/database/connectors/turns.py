"""The one connection of a memory database, which all threads share by turns."""

import sqlite3
import threading
import weakref
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from settings.database.connectors.watched_sqlite import OwnConnection, refusal, say_that_it_is_over


class SharedConnection(OwnConnection):
    """The one connection of a memory database.

    A transaction has it for itself: another thread waits for its turn, as it would for the lock of a file, and one that
    the same thread begins meanwhile is a savepoint in the first. Where that thread ends the first one first, what the
    second has done until then shares its fate, and the second goes on in a transaction of its own.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._wait_seconds = float(options.get("timeout", 5.0))
        self._turn = threading.Condition(threading.RLock())
        self._owner: threading.Thread | None = None
        self._begun: list[weakref.ref[Connection]] = []
        self._ending = threading.local()

    def begin(self, who: Connection, mode: str) -> str:
        """Return the statement that begins a transaction, or a savepoint in it, once this thread's turn has come.

        Args:
            who: Whose transaction it is.
            mode: DEFERRED, IMMEDIATE or EXCLUSIVE.

        Raises:
            sqlite3.OperationalError: When another thread's transaction outlasts the busy time-out, or this thread has
                not rolled back yet what SQLite ended by itself.
        """
        with self._turn:
            if not self._turn.wait_for(self._is_mine, self._wait_seconds):
                raise refusal("database is locked by another thread's transaction", "SQLITE_BUSY")
            if self.given_up:
                say_that_it_is_over()
            self._owner = threading.current_thread()
            self._begun.append(weakref.ref(who))
            return self._opening(len(self._begun) - 1, mode)

    def ends(self, who: Connection) -> None:
        """Let the next commit or rollback of this thread be that of `who`."""
        self._ending.who = who

    def commit(self) -> None:
        """Commit the transaction that ends, or release its savepoint."""
        self._end(committed=True)

    def rollback(self) -> None:
        """Roll back the transaction that ends, or to its savepoint."""
        self._end(committed=False)

    def give_up(self) -> None:
        """Refuse all until each transaction that SQLite has ended was rolled back."""
        if self._begun:
            super().give_up()

    def before_fork(self) -> None:
        """Take the lock; not the turn, which may be long."""
        self._turn.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._turn.release()

    def after_fork_in_child(self) -> None:
        """Begin anew on the child's own copy of the memory, without the transaction of a thread that is not here."""
        self._turn, self._begun, self._owner = threading.Condition(threading.RLock()), [], None
        self.begin_anew()
        with suppress(sqlite3.ProgrammingError):  # it may be closed
            sqlite3.Connection.rollback(self)

    @staticmethod
    def _opening(position: int, mode: str) -> str:
        return f"SAVEPOINT s{position}" if position else f"BEGIN {mode}"

    def _is_mine(self) -> bool:
        self._undo_abandoned()
        return not self._begun or self._owner is threading.current_thread()

    def _undo_abandoned(self) -> None:
        """Roll back what a thread that has ended, or a connection that nobody refers to any more, has left open."""
        while self._begun and self._owner is not None and not self._owner.is_alive():
            self._finish(0, committed=False)
        while self._begun and self._begun[-1]() is None:
            self._finish(len(self._begun) - 1, committed=False)

    def _end(self, *, committed: bool) -> None:
        who = self._ending.__dict__.pop("who", None)
        with self._turn:
            given_up = self.given_up
            position = next((n for n, each in enumerate(self._begun) if who is not None and each() is who), None)
            if position is not None:
                self._finish(position, committed=committed)
            elif not self._begun:
                self._close(0, committed=committed)
        if given_up and committed:
            say_that_it_is_over()

    def _finish(self, position: int, *, committed: bool) -> None:
        if self.given_up:  # SQLite has ended all of them, and each has to hear of it
            del self._begun[position]
        else:
            self._finish_one(position, committed=committed)
        if not self._begun:
            self.begin_anew()
            self._owner = None
            self._turn.notify_all()

    def _finish_one(self, position: int, *, committed: bool) -> None:
        within = self._begun[position + 1 :]
        if self.in_transaction:  # or an error had SQLite roll back by itself
            self._close(position, committed=committed)
        del self._begun[position:]
        for each in within:
            self.execute(self._opening(len(self._begun), "DEFERRED"))
            self._begun.append(each)

    def _close(self, position: int, *, committed: bool) -> None:
        if not position:
            (sqlite3.Connection.commit if committed else sqlite3.Connection.rollback)(self)
            return
        if not committed:
            self.execute(f"ROLLBACK TO s{position}")
        self.execute(f"RELEASE s{position}")
