"""Connecting: the connector by type, retries only for what can pass, the fallback only where it is configured."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine

from settings.backoff import Deadline, backoff_seconds, pause_before_retry
from settings.database.config import DatabaseConfig, DatabaseType
from settings.database.connectors import PostgreSQLConnector, SQLiteConnector
from settings.database.deadline import Watchdog
from settings.database.diagnosis import INTERRUPTED, INVALID_URL, NOT_CONFIGURED, diagnose_database
from settings.database.model import DatabaseSettings
from settings.database.url import DatabaseURLParser
from settings.forks import watch_forks
from settings.problems import Diagnosis, mask_urls

log = logging.getLogger(__name__)
POOL_OPTIONS = frozenset(
    {"pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping", "pool_use_lifo"}
)
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionResult:
    """What connecting came to.

    Attributes:
        success: Whether `engine` can be used.
        database_type: Type of the database in use, or of the one that failed.
        connection_string: Its URL, password and all; masked in the repr.
        engine: The engine, or None.
        error_message: What failed with the configured database, masked; also set when the fallback is in use.
        fallback_used: Whether `engine` is that of DATABASE_FALLBACK_URL.
        diagnosis: Cause and fix of that failure.
        attempts: Attempts on the configured database, the first included.
        target: The URL of `engine`, or of what failed, masked.
    """

    success: bool
    database_type: DatabaseType
    connection_string: str = ""
    engine: Engine | None = None
    error_message: str = ""
    fallback_used: bool = False
    diagnosis: Diagnosis | None = None
    attempts: int = 1
    target: str = ""
    config: DatabaseConfig | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return (
            f"ConnectionResult(success={self.success}, database_type={self.database_type.value!r}, "
            f"connection_string={mask_urls(self.connection_string)!r}, engine={self.engine!r}, "
            f"error_message={self.error_message!r}, fallback_used={self.fallback_used}, attempts={self.attempts})"
        )


NOT_CONNECTED = ConnectionResult(success=False, database_type=DatabaseType.UNKNOWN, attempts=0)


class SmartConnectionManager:
    """Connects to what DATABASE_URL names, and to nothing else but DATABASE_FALLBACK_URL where that is set.

    Args:
        settings: The database's settings.
        app_name: Name shown at the server.
        strict: True: an unusable DATABASE_URL is an error even where a fallback is set.
        refused: What is wrong with the DATABASE_URL that was given, where `settings` have none for that.
        stop: Ends the waiting between attempts.
        jitter: Factors in [0, 1) of the pauses between attempts.

    Attributes:
        result: What the last connect came to; kept by a `reconnect` that failed.
        watchdog: Ends what outlives DATABASE_TIMEOUT.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        app_name: str = "app",
        strict: bool = False,
        refused: Diagnosis | None = None,
        stop: threading.Event | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._app_name, self._strict = settings, app_name, strict
        self._unusable = refused or NOT_CONFIGURED
        self._stop, self._jitter = stop or threading.Event(), jitter
        self.watchdog = Watchdog(settings.timeout)
        self.result = NOT_CONNECTED
        self._spare: Engine | None = None
        self._swapping = threading.Lock()
        watch_forks(self)

    def connect(self) -> ConnectionResult:
        """Connect, with retries while the fault can pass and DATABASE_WAIT lasts; else use the fallback, aloud.

        Never raises for a database's fault: the result says what happened.
        """
        result = self._reach_configured()
        if not result.success and self._may_fall_back(result):
            result = self._fall_back(result)
        return self._put(result)

    def reconnect(self) -> ConnectionResult:
        """Try the configured database again, also after a fallback; never falls back, and keeps what is in use.

        The engine in use stays until another one answers; connections that are under way end on the old one. A memory
        database that is in use stays as it is: another one would be empty.
        """
        now = self.result
        if now.success and not now.fallback_used and now.config is not None and now.config.is_memory:
            return now
        result = self._reach_configured()
        return self._put(result) if result.success or self.result.engine is None else result

    def disconnect(self) -> None:
        """Dispose of the engine's connections; may be called again, and the engine connects anew when it is used."""
        if self.result.engine is not None:
            self.result.engine.dispose()

    def configured_url(self) -> str:
        """Return the normalised URL of DATABASE_URL, password and all, without connecting; empty when unusable."""
        config = self._configured()
        return config.connection_string if config is not None and config.is_valid else ""

    def places(self) -> int:
        """Return how many connections the pool gives out at once."""
        return self._settings.pool_size + self._settings.max_overflow

    def engine_options(self) -> dict[str, Any]:
        """Return the options of `create_engine` for the database in use, or before a connect for the configured one."""
        config = self.result.config or self._configured()
        return {} if config is None or not config.is_valid else self._connector(config).options(config)

    def spare_engine(self) -> Engine | None:
        """Return an engine on the database in use that waits for no place in the pool; None before a connect.

        It connects for each use and keeps nothing. A memory database is one connection, and has its own engine only.
        """
        with self._swapping:
            engine, config = self.result.engine, self.result.config
            if engine is None or config is None or config.is_memory:
                return engine
            if self._spare is None:
                connector = self._connector(config)
                options = {name: each for name, each in connector.options(config).items() if name not in POOL_OPTIONS}
                self._spare = create_engine(connector.url(config), poolclass=NullPool, **options)
            return self._spare

    def before_fork(self) -> None:
        """Take the lock, so that no engine is half swapped."""
        self._swapping.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._swapping.release()

    def after_fork_in_child(self) -> None:
        """Make the lock anew; the engine itself forgets the parent's connections."""
        self._swapping = threading.Lock()

    def _put(self, result: ConnectionResult) -> ConnectionResult:
        with self._swapping:
            earlier, self.result, self._spare = self.result, result, None
        if earlier.engine is not None and earlier.engine is not result.engine:
            earlier.engine.dispose()
        return result

    def _configured(self) -> DatabaseConfig | None:
        url = self._settings.url
        return None if url is None else DatabaseURLParser.parse_url(url.get_secret_value())

    def _reach_configured(self) -> ConnectionResult:
        config = self._configured()
        if config is None:
            return _failed(None, self._unusable, 0)
        if not config.is_valid:
            return _failed(config, replace(INVALID_URL, cause=config.error_message, fix=config.fix), 0)
        return self._try_until_deadline(config, Deadline(self._settings.wait))

    def _try_until_deadline(self, config: DatabaseConfig, deadline: Deadline) -> ConnectionResult:
        pauses = backoff_seconds(first=FIRST_PAUSE_SECONDS, cap=LONGEST_PAUSE_SECONDS, jitter=self._jitter)
        result = self._attempt(config, 1, self._settings.wait + self._patience(config))
        for pause in pauses:
            if result.success or result.diagnosis is None or not result.diagnosis.transient:
                break
            log.info("%s Trying again (attempt %d).", result.error_message, result.attempts + 1)
            if not pause_before_retry(pause, deadline, self._stop):
                break
            result = self._attempt(config, result.attempts + 1, deadline.left() + 1.0)
        if not result.success and self._stop.is_set():
            return _failed(config, INTERRUPTED, result.attempts)
        return result

    def _patience(self, config: DatabaseConfig) -> float:
        """Return the seconds in which each host had its time to connect and the last one its time to answer."""
        return self._settings.connect_timeout * (2 + (config.host or "").count(","))

    def _attempt(
        self, config: DatabaseConfig, attempts: int, seconds: float, variable: str = "DATABASE_URL"
    ) -> ConnectionResult:
        engine: Engine | None = None
        try:
            engine = self._connector(config).engine(config)
            with self.watchdog.within(seconds), engine.connect():
                pass  # a connect by itself asks the server for its version, and SQLite for its file
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is diagnosed, and shown when unknown
            if engine is not None:
                engine.dispose()
            found = diagnose_database(error, variable=variable, target=config.target, secrets=config.secrets)
            return _failed(config, found, attempts, variable)
        return ConnectionResult(
            success=True,
            database_type=config.type,
            connection_string=config.connection_string,
            engine=engine,
            attempts=attempts,
            target=config.target,
            config=config,
        )

    def _connector(self, config: DatabaseConfig) -> PostgreSQLConnector | SQLiteConnector:
        if config.type is DatabaseType.POSTGRESQL:
            return PostgreSQLConnector(self._settings, app_name=self._app_name, watchdog=self.watchdog)
        return SQLiteConnector(self._settings, watchdog=self.watchdog)

    def _may_fall_back(self, failed: ConnectionResult) -> bool:
        unusable = failed.attempts == 0
        return self._settings.fallback_url is not None and not (unusable and self._strict) and not self._stop.is_set()

    def _fall_back(self, failed: ConnectionResult) -> ConnectionResult:
        assert self._settings.fallback_url is not None
        config = DatabaseURLParser.parse_url(self._settings.fallback_url.get_secret_value())
        found = self._attempt(config, failed.attempts, self._patience(config), "DATABASE_FALLBACK_URL")
        if not found.success:
            return _both_failed(failed, found)
        log.warning("%s DATABASE_FALLBACK_URL (%s) is used instead.", failed.error_message, found.target)
        return replace(found, error_message=failed.error_message, fallback_used=True, diagnosis=failed.diagnosis)


def _both_failed(failed: ConnectionResult, fallback: ConnectionResult) -> ConnectionResult:
    assert failed.diagnosis is not None
    assert fallback.diagnosis is not None
    both = replace(
        failed.diagnosis,
        cause=f"{failed.diagnosis.cause}, and DATABASE_FALLBACK_URL ({fallback.target}) cannot be used either: "
        f"{fallback.diagnosis.cause}",
        fix=f"{failed.diagnosis.fix}; for the fallback: {fallback.diagnosis.fix}",
    )
    return replace(failed, error_message=f"{failed.error_message} {fallback.error_message}", diagnosis=both)


def _failed(
    config: DatabaseConfig | None, found: Diagnosis, attempts: int, variable: str = "DATABASE_URL"
) -> ConnectionResult:
    target = "" if config is None else config.target
    return ConnectionResult(
        success=False,
        database_type=DatabaseType.UNKNOWN if config is None else config.type,
        connection_string="" if config is None else config.connection_string,
        error_message=f"{variable}{f' ({target})' if target else ''}: {found.cause}. Fix: {found.fix}.",
        diagnosis=found,
        attempts=attempts,
        target=target,
        config=config,
    )
