"""psycopg2's connection and cursor, each of whose conversations with the server ends by a deadline."""

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from math import inf
from typing import Any, TypeVar

from psycopg2 import Error, OperationalError
from psycopg2.extensions import connection, cursor

from settings.database.connectors.large_objects import WatchedLargeObject
from settings.database.deadline import Watchdog
from settings.forks import watch_forks

log = logging.getLogger(__name__)

T = TypeVar("T")
PLACE_OF_FACTORY = 5  # among the arguments of psycopg2's `lobject`


class DeadlineExceededError(OperationalError):  # type: ignore[misc] # psycopg2 has no annotations
    """The server did not answer in time, so the client closed the connection."""


class SocketLink:
    """A second descriptor of a connection's socket.

    libpq closes its own descriptor when it meets an error, and the number may be another file's a moment later: what is
    shut here is always this socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def cut(self) -> None:
        """Shut the socket in both directions; who waits on it reads its end."""
        # The peer may have closed it already.
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as shared:
            shared.shutdown(socket.SHUT_RDWR)

    def __del__(self) -> None:
        os.close(self._descriptor)


class WatchedConnection(connection):  # type: ignore[misc] # psycopg2 has no annotations
    """A connection under a watchdog that serves the process which made it, and no child of it.

    A child that was forked while the connection was in use can neither speak on it nor end it: both would reach the
    parent's session.

    Args:
        dsn: libpq's connection string.
        watchdog: Cuts what takes too long.
        first: The first statement of each two-phase transaction, since SQLAlchemy has no event in one; none when empty.
    """

    def __init__(self, dsn: str, watchdog: Watchdog, *, first: str = "", **options: Any) -> None:
        super().__init__(dsn, **options)
        self.cursor_factory = WatchedCursor
        self.watchdog, self.first = watchdog, first
        self.link = SocketLink(self.fileno())
        watch_forks(self, first=True)

    def bounded(self, operation: Callable[..., T], *arguments: object) -> T:
        """Return what `operation` returns, or fail when the server takes longer than the deadline.

        Raises:
            DeadlineExceededError: When it did; the connection is closed then.
        """
        seconds = self.watchdog.allowed()
        if seconds == inf:
            return operation(*arguments)
        self.watchdog.arm(self.link, seconds)
        try:
            answer = operation(*arguments)
        except Error as error:
            if self.watchdog.disarm(self.link):
                self.close()
                words = f"no answer within {seconds:.3g} s: the client closed the connection (DATABASE_TIMEOUT)"
                raise DeadlineExceededError(words) from error
            raise
        except BaseException:
            self.watchdog.disarm(self.link)
            raise
        self.watchdog.disarm(self.link)
        return answer

    def cursor(self, name: str | None = None, cursor_factory: Any = None, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Return a cursor, under the deadline also where another kind is asked for, as psycopg2's extras do."""
        kind = watched_kind(cursor_factory) if isinstance(cursor_factory, type) else cursor_factory
        return super().cursor(name, kind, *arguments, **options)

    def lobject(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Return a large object, under the deadline unless another kind is asked for."""
        kind = {} if len(arguments) == PLACE_OF_FACTORY else {"lobject_factory": WatchedLargeObject}
        return super().lobject(*arguments, **{**kind, **options})

    def commit(self) -> None:
        """Commit, by the deadline."""
        self.bounded(super().commit)

    def rollback(self) -> None:
        """Roll back, by the deadline.

        One that cannot be delivered has happened: a server rolls back what is open on a connection that ends. To
        raise here would end a request that has its answer already, outside of the application's error handlers.
        """
        try:
            self.bounded(super().rollback)
        except Error as error:
            if not self.closed:
                raise
            log.info("A connection was lost before its rollback, which its end does: %s", type(error).__name__)

    def reset(self) -> None:
        """Roll back and forget the session's settings, by the deadline."""
        self.bounded(super().reset)

    def set_client_encoding(self, encoding: str) -> None:
        """Tell the server another encoding, by the deadline."""
        self.bounded(super().set_client_encoding, encoding)

    def set_session(self, *arguments: Any, **options: Any) -> None:
        """Set what later transactions are like, by the deadline."""
        self.bounded(partial(super().set_session, *arguments, **options))

    def tpc_begin(self, xid: Any) -> None:  # noqa: ANN401 - psycopg2's signature
        """Begin a two-phase transaction by the deadline, and run the first statement in it."""
        self.bounded(super().tpc_begin, xid)
        if self.first:
            with self.cursor() as own:
                own.execute(self.first)

    def tpc_prepare(self) -> None:
        """Prepare a two-phase transaction, by the deadline."""
        self.bounded(super().tpc_prepare)

    def tpc_commit(self, *xid: Any) -> None:
        """Commit a two-phase transaction, by the deadline."""
        self.bounded(super().tpc_commit, *xid)

    def tpc_rollback(self, *xid: Any) -> None:
        """Roll back a two-phase transaction, by the deadline."""
        self.bounded(super().tpc_rollback, *xid)

    def before_fork(self) -> None:
        """Let a statement that runs go on."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Be of no use here, and stay as it is: speaking or closing would reach the parent's session."""
        self.__dict__.update(bounded=_refuse, commit=_refuse, rollback=_nothing, close=_nothing)


def _nothing() -> None:
    """Do nothing."""


def _refuse(*_arguments: object) -> None:
    raise OperationalError("this connection belongs to the process that forked this one")


class WatchedCursor(cursor):  # type: ignore[misc] # psycopg2 has no annotations
    """A cursor whose statements end by the deadline of its connection."""

    connection: WatchedConnection

    def execute(self, query: Any, vars: object = None) -> Any:  # noqa: A002, ANN401 - psycopg2's signature
        """Execute one statement."""
        return self.connection.bounded(super().execute, query, vars)

    def executemany(self, query: Any, vars_list: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Execute one statement for each set of values."""
        return self.connection.bounded(super().executemany, query, vars_list)

    def callproc(self, *arguments: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Call a function of the server."""
        return self.connection.bounded(super().callproc, *arguments)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Copy to or from a file."""
        return self.connection.bounded(super().copy_expert, sql, file, size)

    def copy_from(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Copy from a file into a table."""
        return self.connection.bounded(partial(super().copy_from, *arguments, **options))

    def copy_to(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Copy a table to a file."""
        return self.connection.bounded(partial(super().copy_to, *arguments, **options))

    def scroll(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Move on or back; in a server-side cursor by a question to the server."""
        return self.connection.bounded(partial(super().scroll, *arguments, **options))

    def __next__(self) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Return the next row; some of a server-side cursor come from the server only now."""
        return super().__next__() if self.name is None else self.connection.bounded(super().__next__)

    def close(self) -> None:
        """Close the cursor; the server forgets one of its own side now."""
        if self.name is None or self.connection.closed:
            super().close()
        else:
            self.connection.bounded(super().close)

    def fetchone(self) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Fetch a row; one of a server-side cursor comes from the server only now."""
        return super().fetchone() if self.name is None else self.connection.bounded(super().fetchone)

    def fetchmany(self, size: int | None = None) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Fetch some rows; those of a server-side cursor come from the server only now."""
        many = self.arraysize if size is None else size
        return super().fetchmany(many) if self.name is None else self.connection.bounded(super().fetchmany, many)

    def fetchall(self) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Fetch the rows left; those of a server-side cursor come from the server only now."""
        return super().fetchall() if self.name is None else self.connection.bounded(super().fetchall)


@cache
def watched_kind(kind: type[cursor]) -> type[cursor]:
    """Return a kind of cursor that is `kind`, and ends by the deadline besides."""
    return kind if issubclass(kind, WatchedCursor) else type(kind.__name__, (WatchedCursor, kind), {})
