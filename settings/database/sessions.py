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
        scope: Identifies the application context that runs; the thread when None.
    """

    def __init__(self, engine: Callable[[], Engine], *, scope: Callable[[], Hashable] | None = None) -> None:
        self._engine = engine
        self.scoped: scoped_session[UnitOfWork] = scoped_session(self.new, scopefunc=scope or threading.get_ident)  # type: ignore[arg-type] # any factory does; the annotation names sessionmaker

    def new(self) -> UnitOfWork:
        """Return a session that belongs to nobody; the caller closes it."""
        return UnitOfWork(self._engine())

    def remove(self) -> bool:
        """Roll back and return the session of this scope; say whether there was one. Never connects."""
        if not self.scoped.registry.has():
            return False
        self.scoped.remove()
        return True
