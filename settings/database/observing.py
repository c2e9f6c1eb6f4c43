"""How long each statement took, told to whoever wants to know."""

import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

log = logging.getLogger(__name__)
_BEGUN = "twelvefactor_begun"
Observer = Callable[[str, float, bool], object]
"""Gets the text of a statement, the seconds that it took, and whether it failed."""


class StatementClock:
    """Calls one observer after each statement of the engines that it is attached to.

    An observer that fails leaves a log line and does not disturb the statement.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def attach(self, engine: Engine) -> None:
        """Begin to watch an engine."""
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "handle_error", self._fail)

    def _begin(self, connection: Connection, *_arguments: Any) -> None:
        connection.info[_BEGUN] = time.perf_counter()

    def _end(self, connection: Connection, _cursor: object, statement: str, *_arguments: Any) -> None:
        self._tell(connection, statement, failed=False)

    def _fail(self, context: ExceptionContext) -> None:
        if context.connection is not None and context.statement is not None:
            self._tell(context.connection, context.statement, failed=True)

    def _tell(self, connection: Connection, statement: str, *, failed: bool) -> None:
        now = time.perf_counter()
        begun = now if connection.invalidated else connection.info.pop(_BEGUN, now)
        try:
            self._observer(statement, now - begun, failed)
        except Exception:  # who counts must not break what is counted
            log.exception("An observer of statements failed.")
