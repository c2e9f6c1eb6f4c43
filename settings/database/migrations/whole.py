"""All revisions in one transaction: what would end it is refused, and what ended it all the same is told at once."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn, Self

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from settings.database.migrations.lock import holds_lock
from settings.database.migrations.result import ENDED, FAILED
from settings.database.migrations.statements import ends_transaction
from settings.problems import BootstrapError, Diagnosis

_BY_ALEMBIC = "run that revision with `flask db upgrade` or `alembic upgrade`"


def refusal() -> BootstrapError:
    """Return what to raise where a revision would end the transaction."""
    cause = "a revision ends the transaction (autocommit_block, COMMIT or ROLLBACK), which could leave it half-applied"
    return BootstrapError("DATABASE_MIGRATE", "", Diagnosis(FAILED, cause, _BY_ALEMBIC))


def _ended(revision: str) -> BootstrapError:
    cause = f"revision {revision} ended the transaction unseen: what it committed stays, not noted as applied"
    fix = f"undo what it left, and {_BY_ALEMBIC}"
    return BootstrapError("DATABASE_MIGRATE", "", Diagnosis(ENDED, cause, fix))


class Whole:
    """Keeps a transaction, and with it the lock, from its end in the middle of a migration; a context manager.

    SQLite asks before each statement, whoever sends it. At PostgreSQL the driver's connection and cursors look; what
    gets past them, as a cursor of another class does, is found after the revision, by the lock that is gone.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._of_sqlite = connection.dialect.name == "sqlite"
        self._refused = False

    def __enter__(self) -> Self:
        if self._of_sqlite:
            self._driver.set_authorizer(self._authorize)
        else:
            self._kind = self._driver.cursor_factory
            self._driver.cursor_factory = _looking(self._kind, self.refuse)
            if hasattr(self._driver, "__dict__"):
                self._driver.__dict__.update(commit=self.refuse, rollback=self.refuse)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        self._let_go()
        if self._refused:
            # SQLAlchemy takes a transaction that it could not end for ended, and would roll nothing back.
            self._connection._rollback_impl()
            raise refusal() from error

    def step(self, revision: str, run: Callable[..., object]) -> Callable[..., None]:
        """Return `run` with a look at the transaction after it, before the revision is noted as applied.

        Raises:
            BootstrapError: From what is returned: the revision ended the transaction.
        """

        def whole(**arguments: object) -> None:
            try:
                run(**arguments)
            except Exception as error:
                # SQLite itself rolls back when a disk is full, say: that is no fault of the revision's.
                if not self._of_sqlite and not self._refused and not self._still_holds():
                    raise _ended(revision) from error
                raise
            if self._refused:
                raise refusal()
            if not holds_lock(self._connection):
                raise _ended(revision)

        return whole

    def refuse(self, *_arguments: object) -> NoReturn:
        """Refuse what would end the transaction, also where a revision hides the error."""
        self._refused = True
        raise refusal()

    def _still_holds(self) -> bool:
        with suppress(SQLAlchemyError):
            return holds_lock(self._connection)
        return True  # a statement failed, and no other is taken: nothing was ended since

    def _authorize(self, action: int, *_what: object) -> int:
        if action == sqlite3.SQLITE_TRANSACTION:
            self._refused = True
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _let_go(self) -> None:
        if self._of_sqlite:
            with suppress(sqlite3.ProgrammingError):  # the revision closed it
                self._driver.set_authorizer(None)
            return
        self._driver.cursor_factory = self._kind
        for name in ("commit", "rollback"):
            getattr(self._driver, "__dict__", {}).pop(name, None)


def _looking(kind: Any, refuse: Callable[[], object]) -> type:  # noqa: ANN401 - psycopg2 has no annotations
    """Return psycopg2's cursor, of `kind`, that refuses a statement which ends the transaction."""
    from psycopg2.extensions import cursor

    class Looking(kind or cursor):  # type: ignore[misc] # known only here
        def execute(self, query: Any, *values: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
            self._look(query)
            return super().execute(query, *values)

        def executemany(self, query: Any, *values: Any) -> Any:  # noqa: ANN401 - psycopg2's signature
            self._look(query)
            return super().executemany(query, *values)

        def _look(self, query: Any) -> None:  # noqa: ANN401 - a text, bytes, or what psycopg2.sql composes
            text = query.as_string(self) if hasattr(query, "as_string") else query
            if ends_transaction(text.decode(errors="replace") if isinstance(text, bytes) else text):
                refuse()

    return Looking
