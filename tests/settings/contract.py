"""The promised defaults, as the documentation lists them: `else` holds where an environment has none of its own."""

ENVIRONMENTS = ("development", "testing", "staging", "production")
MINIMUM = {name: {"DATABASE_URL": "postgresql://app@localhost/app"} for name in ("staging", "production")}
"""What an environment requires."""


def _live(value: str, otherwise: str) -> dict[str, str]:
    return {"staging": value, "production": value, "else": otherwise}


_PLAIN = {
    "APP_NAME": "app", "APP_SECRET_KEY": "", "APP_PROXY_HOPS": "0", "APP_SETTINGS": "", "DATABASE_POOL_SIZE": "5",
    "DATABASE_MAX_OVERFLOW": "10", "DATABASE_POOL_TIMEOUT": "10", "DATABASE_POOL_RECYCLE": "1800",
    "DATABASE_CONNECT_TIMEOUT": "5", "DATABASE_STATEMENT_TIMEOUT": "0", "DATABASE_TIMEOUT": "0",
    "DATABASE_ECHO": "false", "DATABASE_MIGRATE": "true", "DATABASE_MIGRATE_WAIT": "60", "REDIS_URL": "",
    "REDIS_CONNECT_TIMEOUT": "0.5", "REDIS_TIMEOUT": "0.5", "REDIS_MAX_CONNECTIONS": "50",
    "CACHE_DEFAULT_TIMEOUT": "300", "CACHE_KEY_PREFIX": "app:", "CACHE_THRESHOLD": "10000", "CACHE_RETRY_AFTER": "15",
    "WS_URL": "", "WS_MAX_RETRIES": "5", "WS_RETRY_DELAY": "1", "WS_RETRY_MAX_DELAY": "30", "WS_COOLDOWN": "300",
    "WS_CONNECT_TIMEOUT": "5", "WS_PING_INTERVAL": "20", "WS_PING_TIMEOUT": "20", "WS_QUEUE_SIZE": "1000",
    "WS_TOKEN": "", "WORKERS_ENGINE": "thread", "WORKERS_BROKER_URL": "", "WORKERS_HEALTH_INTERVAL": "30",
    "WORKERS_PERFORMANCE_INTERVAL": "60", "WORKERS_CLEANUP_INTERVAL": "3600", "WORKERS_GRACE": "10",
    "WORKERS_ALERT_RETENTION_DAYS": "30", "WORKERS_LATENCY_THRESHOLD_MS": "1000",
    "WORKERS_ERROR_RATE_THRESHOLD": "0.05", "LOG_LEVELS": "", "LOG_LIMIT_LEVEL": "WARNING", "LOG_FILE": "",
    "LOG_ERRORS_PER_MINUTE": "5", "LOG_SUMMARY_INTERVAL": "60", "LOG_MAX_FINGERPRINTS": "10000", "STATUS_PREFIX": "",
    "STATUS_TOKEN": "",
}  # fmt: skip
DEFAULTS: dict[str, dict[str, str]] = {
    **{name: {"else": value} for name, value in _PLAIN.items()},
    "APP_ENV": {"else": "development", **{name: name for name in ENVIRONMENTS}},
    "APP_STRICT": _live("true", "false"),
    "DATABASE_URL": {"testing": "sqlite+pysqlite:///:memory:", "else": "sqlite+pysqlite:///{folder}/app.db"},
    "DATABASE_FALLBACK_URL": _live("", "sqlite+pysqlite:///{folder}/fallback.db"),
    "DATABASE_WAIT": _live("30", "3"),
    "WS_ENABLED": {"testing": "false", "else": "true"},
    "WORKERS_ENABLED": {"testing": "false", "else": "true"},
    "LOG_LEVEL": {"development": "DEBUG", "else": "INFO"},
    "LOG_FORMAT": _live("json", "text"),
    "STATUS_PAGE": {"development": "true", "else": "false"},
}
"""Variable, environment, value as `show` writes it."""
