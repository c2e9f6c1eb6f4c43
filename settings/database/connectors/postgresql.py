"""PostgreSQL by psycopg2: pre-ping, LIFO pool, keepalives, a bounded connect, no session state."""

from functools import partial
from math import ceil, inf
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from settings.database.config import SECRET_OPTIONS, DatabaseConfig, fits_authority
from settings.database.connectors.manners import with_manners
from settings.database.deadline import Watchdog
from settings.database.model import DatabaseSettings

MOST_BYTES_OF_A_NAME = 63


class PostgreSQLConnector:
    """Makes engines for PostgreSQL.

    They take no state of a session for granted, so that a transaction pooler may stand between.

    Args:
        settings: Pool and time-outs.
        app_name: Shown in pg_stat_activity, cut to PostgreSQL's 63 bytes.
        watchdog: Ends what outlives DATABASE_TIMEOUT; one of the connector's own when None.
    """

    def __init__(self, settings: DatabaseSettings, *, app_name: str = "app", watchdog: Watchdog | None = None) -> None:
        self._settings, self._app_name = settings, app_name
        self._watchdog = watchdog or Watchdog(settings.timeout)

    def url(self, config: DatabaseConfig) -> URL:
        """Return SQLAlchemy's URL of the parts; hosts that no authority holds stand behind the question mark.

        Secret options are left to `options()`: the repr of an engine masks the password of its URL and nothing else.
        """
        plain = config.host is None or fits_authority(config.host)
        return URL.create(
            "postgresql+psycopg2",
            username=config.username,
            password=config.password,
            host=config.host if plain else None,
            port=int(config.port) if plain and config.port is not None else None,
            database=config.database,
            query={name: value for name, value in config.query().items() if name not in SECRET_OPTIONS},
        )

    def options(self, config: DatabaseConfig) -> dict[str, Any]:
        """Return the keyword arguments of `create_engine`; options of the URL win over ours."""
        options = {
            "pool_size": self._settings.pool_size,
            "max_overflow": self._settings.max_overflow,
            "pool_timeout": self._settings.pool_timeout,
            "pool_recycle": max(1, round(self._settings.pool_recycle)),
            "pool_pre_ping": True,
            "pool_use_lifo": True,
            "hide_parameters": True,
            "echo": self._settings.echo,
            "connect_args": self._connect_arguments(config),
        }
        return with_manners(options, partial(self._adorn, config))

    def engine(self, config: DatabaseConfig) -> Engine:
        """Return an engine that has not connected yet."""
        return create_engine(self.url(config), **self.options(config))

    def _connect_arguments(self, config: DatabaseConfig) -> dict[str, Any]:
        # Imported here: a service on SQLite never pays for it.
        from settings.database.connectors.watched import WatchedConnection

        seconds = min(self._settings.connect_timeout, self._settings.timeout or inf)
        ours = {
            # libpq counts whole seconds, and each host or address of a name has its own.
            "connect_timeout": max(1, ceil(seconds)),
            "application_name": self._app_name.encode()[:MOST_BYTES_OF_A_NAME].decode(errors="ignore"),
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        arguments = {name: value for name, value in ours.items() if name not in config.options}
        secrets = {name: value for name, value in config.options.items() if name in SECRET_OPTIONS}
        made = partial(WatchedConnection, watchdog=self._watchdog, first=self._limit(config))
        return {**arguments, **secrets, "connection_factory": made}

    def _adorn(self, config: DatabaseConfig, engine: Engine) -> None:
        event.listen(engine, "do_connect", self._hasten)
        event.listen(engine, "handle_error", _end_by_the_deadline)
        if limit := self._limit(config):
            event.listen(engine, "begin", partial(_set, limit))

    def _hasten(self, _dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        """Let a connect take no longer than what is left to this thread."""
        left = self._watchdog.allowed()
        if left != inf:
            wanted = int(options["connect_timeout"])
            options["connect_timeout"] = max(1, ceil(left)) if wanted <= 0 else min(wanted, max(1, ceil(left)))

    def _limit(self, config: DatabaseConfig) -> str:
        """Return what sets DATABASE_STATEMENT_TIMEOUT in a transaction; empty where nothing does."""
        if not self._settings.statement_timeout or "statement_timeout" in config.options.get("options", ""):
            return ""
        # Local to the transaction: behind a transaction pooler a session's setting would reach strangers.
        return f"SET LOCAL statement_timeout = {max(1, round(self._settings.statement_timeout * 1000))}"


def _set(limit: str, connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(limit)


def _end_by_the_deadline(context: ExceptionContext) -> None:
    """Let a pre-ping that met the deadline fail the checkout: to connect anew, as the pool would, is to wait twice."""
    if context.is_pre_ping and type(context.original_exception).__name__ == "DeadlineExceededError":
        context.is_disconnect = False
