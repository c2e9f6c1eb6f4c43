"""Sessions: one for each application context, and one for a stretch of work."""

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.orm import Session, scoped_session

log = logging.getLogger(__name__)


class UnitOfWork(Session):
    """A session whose with block is one piece of work: committed at its end, rolled back on an exception, returned.

    A block within a block of the same session is part of that work: only the end of the outermost commits and returns.
    Once an inner block has failed there is nothing left to commit, also where the outer block caught the exception: it
    ends in a PendingRollbackError, unless it has called `rollback()` to begin anew.
    """

    _depth = 0
    _failed_within = False

    def __enter__(self) -> Self:
        """Begin the work, or a part of it."""
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the work, or a part of it."""
        self._depth -= 1
        if self._depth:
            self._failed_within = self._failed_within or kind is not None
            return
        try:
            if kind is None:
                self.commit()
        finally:
            self._failed_within = False
            super().__exit__(kind, error, trace)

    def commit(self) -> None:
        """Commit.

        Raises:
            PendingRollbackError: A with block within this work has failed, so part of the work is missing.
        """
        if self._failed_within:
            raise PendingRollbackError(
                "this session: a with block within this one ended in an exception, so nothing is committed. "
                "Fix: let the exception pass, call rollback() to begin anew, or give the inner work a session of its "
                "own by session_scope()"
            )
        super().commit()

    def rollback(self) -> None:
        """Roll back; what comes after is work of its own."""
        self._failed_within = False
        super().rollback()


class Sessions:
    """Makes sessions of the engine in use, one for each scope.

    A scope that is gone, a context that was never popped or a thread that has ended, takes nothing back itself: the
    next session that is made or removed, by whomever, rolls back and returns what it left, and a warning tells of it.

    Args:
        engine: Returns the engine in use, also after a reconnect.
        scope: Returns the application context that runs, which is held weakly; the thread counts where it, or its
            answer, is None.

    Attributes:
        abandoned: Sessions so far whose scope ended in the midst of their transaction.
    """

    def __init__(self, engine: Callable[[], Engine], *, scope: Callable[[], object | None] | None = None) -> None:
        self._engine, self._scope = engine, scope
        self._left: deque[UnitOfWork] = deque()
        self._when_gone = self._leave
        self.abandoned = 0
        self.scoped: scoped_session[UnitOfWork] = scoped_session(self.new, scopefunc=self._key)  # type: ignore[arg-type] # any factory does; the annotation names sessionmaker

    def new(self) -> UnitOfWork:
        """Return a session that belongs to nobody; the caller closes it."""
        self._take_back()
        return UnitOfWork(self._engine())

    def remove(self) -> bool:
        """Roll back and return the session of this scope; say whether there was one. Never connects."""
        if self._left:
            self._take_back()
        return self._remove(self._key())

    def has_of_thread(self) -> bool:
        """Say whether this thread has a session outside of any context."""
        return threading.current_thread() in self._registry()

    def remove_of_thread(self) -> bool:
        """Roll back and return the session that this thread has outside of any context; say whether there was one."""
        return self._remove(threading.current_thread())

    def forget(self) -> None:
        """Drop every session without a word to the database, for a child of a fork."""
        self._registry().clear()
        self._left.clear()

    def _key(self) -> Hashable:
        context = None if self._scope is None else self._scope()
        # A number for the context would be another's once it is gone. Equal while it lives, whoever made the reference.
        return threading.current_thread() if context is None else weakref.ref(context, self._when_gone)

    def _remove(self, key: Hashable) -> bool:
        session = self._registry().pop(key, None)
        if session is not None:
            session.close()
        return session is not None

    def _leave(self, key: Hashable) -> None:
        # The garbage collector calls this in the midst of anything, so the session is not ended here.
        session = self._registry().pop(key, None)
        if session is not None:
            self._left.append(session)

    def _take_back(self) -> None:
        for key in self._registry().copy():
            if isinstance(key, threading.Thread) and not key.is_alive():
                self._leave(key)
        while self._left:
            try:
                session = self._left.popleft()
            except IndexError:  # another thread was here
                return
            self._end(session)

    def _end(self, session: UnitOfWork) -> None:
        if session.in_transaction():
            self.abandoned += 1
            log.warning(
                "A session was rolled back: the thread or application context that used it ended without returning it. "
                "Fix: use `with database.session() as session:`, and pop each context that is pushed."
            )
        try:
            session.close()
        except Exception:  # it is not the work of the one who meets it here
            log.exception("A session that was left could not be ended.")

    def _registry(self) -> dict[Hashable, UnitOfWork]:
        found: dict[Hashable, UnitOfWork] = self.scoped.registry.registry
        return found
