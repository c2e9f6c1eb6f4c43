"""Sessions: one for each application context, and one for a stretch of work."""

import threading
from collections.abc import Callable, Hashable
from types import TracebackType

from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session


class UnitOfWork(Session):
    """A session whose with block is one piece of work: committed at its end, rolled back on an exception, returned."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the work."""
        try:
            if kind is None:
                self.commit()
        finally:
            super().__exit__(kind, error, trace)


class Sessions:
    """Makes sessions of the engine in use, one for each scope.

    Args:
        engine: Returns the engine in use, also after a reconnect.
        scope: Identifies the application context that runs; the thread counts where it, or its answer, is None.
    """

    def __init__(self, engine: Callable[[], Engine], *, scope: Callable[[], Hashable | None] | None = None) -> None:
        self._engine, self._scope = engine, scope
        self.scoped: scoped_session[UnitOfWork] = scoped_session(self._of_scope, scopefunc=self._key)  # type: ignore[arg-type] # any factory does; the annotation names sessionmaker

    def new(self) -> UnitOfWork:
        """Return a session that belongs to nobody; the caller closes it."""
        return UnitOfWork(self._engine())

    def remove(self) -> bool:
        """Roll back and return the session of this scope; say whether there was one. Never connects."""
        if not self.scoped.registry.has():
            return False
        self.scoped.remove()
        return True

    def forget(self) -> None:
        """Drop every session without a word to the database, for a child of a fork."""
        self._registry().clear()

    def _key(self) -> Hashable:
        key = None if self._scope is None else self._scope()
        return threading.current_thread() if key is None else key

    def _of_scope(self) -> UnitOfWork:
        # A thread that has ended takes nothing back itself, and its connection would be missing in the pool.
        for key in tuple(self._registry()):
            if isinstance(key, threading.Thread) and not key.is_alive():
                self._registry().pop(key).close()
        return self.new()

    def _registry(self) -> dict[Hashable, UnitOfWork]:
        found: dict[Hashable, UnitOfWork] = self.scoped.registry.registry
        return found
