"""The engine and the sessions of an application."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import QueuePool, StaticPool

from settings.database.connection import ConnectionResult, SmartConnectionManager
from settings.database.diagnosis import DEADLINE, NOT_CONFIGURED, diagnose_database
from settings.database.observing import Observer, StatementClock
from settings.database.ping import ask, driver_connection
from settings.database.sessions import Sessions, UnitOfWork
from settings.forks import watch_forks
from settings.probe import Fact, HealthStatus, Reading
from settings.problems import BootstrapError

__all__ = ["ConnectionResult", "DatabaseManager", "SmartConnectionManager"]
log = logging.getLogger(__name__)
FLASK_URL, FLASK_OPTIONS = "SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_ENGINE_OPTIONS"
FROZEN_FIX = "look whether the server, or the network to it, hangs"


class DatabaseManager:
    """One engine, which follows a reconnect, and one session for each application context.

    Args:
        connections: Makes the engine; connected on first use when nobody did before.
        scope: Returns the running application context, which is held weakly; where it says None, the thread has the
            session.

    Attributes:
        session: The session of the running application context; `with database.session() as session:` commits at the
            end of the block, rolls back on an exception and returns the connection. A block within a block is part of
            the outer one's work, which ends with the outermost.
    """

    def __init__(
        self, connections: SmartConnectionManager, *, scope: Callable[[], object | None] | None = None
    ) -> None:
        self._connections = connections
        self._connecting = threading.RLock()
        self._followers: list[Callable[[Engine], object]] = []
        self._clocks: list[StatementClock] = []
        self._sessions = Sessions(lambda: self.engine, scope=scope)
        self.session: scoped_session[UnitOfWork] = self._sessions.scoped
        watch_forks(self)

    @property
    def result(self) -> ConnectionResult:
        """What the last connect came to."""
        return self._connections.result

    @property
    def engine(self) -> Engine:
        """The engine in use, also after a reconnect.

        Raises:
            BootstrapError: When the database cannot be used; it names variable, target, cause and fix.
        """
        engine = self.result.engine
        if engine is not None:
            return engine
        with self._connecting:
            if self.result.engine is None:
                self._watch(self._connections.connect().engine)
            result = self.result
        if result.engine is None:
            raise BootstrapError("DATABASE_URL", result.target, result.diagnosis or NOT_CONFIGURED)
        return result.engine

    @property
    def spare_engine(self) -> Engine:
        """An engine on the database in use that waits for no place in the pool, and connects for each use.

        Raises:
            BootstrapError: When the database cannot be used.
        """
        engine = self.engine
        return self._connections.spare_engine() or engine

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """A session of its own for a piece of work: committed at the end, rolled back on an exception, returned."""
        with self._sessions.new() as session:
            yield session

    def remove_session(self) -> None:
        """Roll back and return the session of the running application context, if it has one."""
        self._sessions.remove()

    def lend_thread_session(self) -> Callable[[], object]:
        """Return what returns the session that this thread will have outside of any application context.

        Nothing, where it has one already: that belongs to whoever called, as a test does.
        """
        sessions = self._sessions
        return (lambda: None) if sessions.has_of_thread() else sessions.remove_of_thread

    def within(self, seconds: float | None) -> AbstractContextManager[None]:
        """Let everything that this thread asks the database in the with block end `seconds` from now, also by force."""
        return self._connections.watchdog.within(seconds)

    def ping(self, timeout: float | None = None) -> Reading:
        """Ask the database once; never raises for a fault of it.

        Args:
            timeout: Most seconds that the answer may take, in all; None: as long as the time-outs of the settings let
                it. A connection that has to be made anew counts in libpq's whole seconds, two at the least; and where
                others snatch each place in the pool that gets free, the wait may last DATABASE_POOL_TIMEOUT.
        """
        begin = time.perf_counter()
        try:
            with self.within(timeout):
                ask(self.engine, places=self._connections.places(), timeout=timeout)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is diagnosed, and shown when unknown
            config = self.result.config
            secrets = set() if config is None else config.secrets
            found = diagnose_database(error, target=self.result.target, secrets=secrets)
            if found.code == DEADLINE.code and timeout is not None:
                found = replace(found, cause=f"no answer within {timeout:g} s", fix=FROZEN_FIX)
            return Reading(HealthStatus.UNHEALTHY, self.result.target, found.code, found.cause, found.fix)
        facts = {**self.pool_figures(), "latency_ms": round((time.perf_counter() - begin) * 1000, 3)}
        return self._well(facts)

    def pool_figures(self) -> Mapping[str, Fact]:
        """Return the pool's size and use without connecting; empty before a connect, and for SQLite in memory."""
        pool = None if self.result.engine is None else self.result.engine.pool
        if not isinstance(pool, QueuePool):
            return {}
        return {
            "pool_size": pool.size(),
            "pool_in_use": pool.checkedout(),
            "pool_idle": pool.checkedin(),
            "pool_overflow": max(0, pool.overflow()),
            "deadlines_exceeded": self._connections.watchdog.expired,
        }

    def max_connections(self) -> int | None:
        """Return how many connections the server lets ordinary roles have; None where there is no such limit."""
        engine = self.engine
        if engine.dialect.name != "postgresql":
            return None
        with engine.connect() as connection:
            # reserved_connections is PostgreSQL 16's and newer.
            row = connection.exec_driver_sql(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
                " - coalesce(current_setting('reserved_connections', true), '0')::int"
            )
            return int(row.scalar_one())

    def reconnect(self) -> ConnectionResult:
        """Try the configured database again, tell the followers of a new engine, and return what came of it.

        A follower that fails leaves a log line and does not stop the others.
        """
        with self._connecting:
            before, result = self.result.engine, self._connections.reconnect()
            if result.engine is before:
                return result
            self._watch(result.engine)
        if result.engine is not None:
            for follower in tuple(self._followers):
                try:
                    follower(result.engine)
                except Exception:  # a follower's failure is its own
                    log.exception("A follower of the database could not follow a reconnect.")
        return result

    def subscribe(self, follower: Callable[[Engine], object]) -> None:
        """Call `follower` with the engine after each reconnect that made a new one."""
        self._followers.append(follower)

    def observe_statements(self, observer: Observer) -> None:
        """Call `observer(statement, seconds, failed)` after each statement, also of the engines of later reconnects."""
        clock = StatementClock(observer)
        with self._connecting:
            self._clocks.append(clock)
            if self.result.engine is not None:
                clock.attach(self.result.engine)

    def is_read_only(self) -> bool:
        """Say whether the database takes no writes now: a standby, a read-only default, a file or folder so marked.

        Raises:
            BootstrapError: When the database cannot be used.
            sqlalchemy.exc.DBAPIError: When it does not answer.
        """
        engine, config = self.engine, self.result.config
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                return bool(
                    connection.exec_driver_sql("SELECT current_setting('transaction_read_only') = 'on'").scalar()
                )
        file = None if config is None else config.file
        if config is None or file is None:
            return False
        marked = config.options.get("mode") == "ro" or config.options.get("immutable", "0") == "1"
        return marked or not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))

    def flask_config(self, given: Mapping[str, Any] = MappingProxyType({}), *, connect: bool = True) -> dict[str, Any]:
        """Return what Flask-SQLAlchemy reads: the URL in use, absolute, and options that make an engine like ours.

        A memory database is one connection, and Flask-SQLAlchemy's engine is given that very one.

        Args:
            given: What the application has set: with a URL of its own ours is left out, and our options are too,
                which are for our database; its own options stay, and have the connection of a memory database added.
            connect: False: nothing is opened, and the URL is that of DATABASE_URL.
        """
        if given.get(FLASK_URL) is not None:
            return {}
        if connect:
            self.engine  # noqa: B018 - connects, or raises what is wrong
        url = self.result.connection_string if connect else self.configured_url()
        options, theirs = self._connections.engine_options(), given.get(FLASK_OPTIONS)
        if options.get("poolclass") is StaticPool:
            options = {**(theirs or {}), **options, "creator": lambda: driver_connection(self.engine)}
        return {FLASK_URL: url, FLASK_OPTIONS: theirs if theirs is not None and "creator" not in options else options}

    @staticmethod
    def flask_engine(config: Mapping[str, Any]) -> Engine:
        """Return the engine that Flask-SQLAlchemy would make of what `flask_config` returned."""
        return create_engine(config[FLASK_URL], **config[FLASK_OPTIONS])

    def configured_url(self) -> str:
        """Return the normalised, absolute URL of DATABASE_URL without connecting; empty when unset or invalid."""
        return self._connections.configured_url()

    def close(self) -> None:
        """Return the session of this context and dispose of the engine's connections; may be called again."""
        self.remove_session()
        self._connections.disconnect()

    def before_fork(self) -> None:
        """Let a connect or reconnect that is under way go on: it would keep the fork waiting."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Begin without the sessions of the parent, whose connections are the parent's."""
        self._connecting = threading.RLock()
        self._sessions.forget()

    def _watch(self, engine: Engine | None) -> None:
        if engine is not None:
            for clock in self._clocks:
                clock.attach(engine)

    def _well(self, facts: Mapping[str, Fact]) -> Reading:
        result, why = self.result, self.result.diagnosis
        if result.fallback_used and why is not None:
            return Reading(HealthStatus.FALLBACK, result.target, why.code, why.cause, why.fix, facts)
        return Reading(HealthStatus.HEALTHY, result.target, facts=facts)
