"""APP_ENV left out where it matters, and how many processes the platform is going to start."""

import re
from collections.abc import Iterator, Mapping

from settings.cache.model import RedisSettings
from settings.checks.subject import Subject
from settings.database.config import DatabaseType
from settings.problems import Problem
from settings.workers.broker_url import translated
from settings.workers.model import WorkersSettings

PRODUCTION_SIGNS = (
    "KUBERNETES_SERVICE_HOST", "DYNO", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "ECS_CONTAINER_METADATA_URI_V4",
    "K_SERVICE", "FLY_APP_NAME", "RENDER", "RAILWAY_ENVIRONMENT", "WEBSITE_INSTANCE_ID", "UWSGI_ORIGINAL_PROC_NAME",
)  # fmt: skip
"""What platforms set where an application is deployed."""
_COUNTS = ("WEB_CONCURRENCY", "UWSGI_PROCESSES", "UWSGI_WORKERS")


def production_sign(environ: Mapping[str, str]) -> str | None:
    """Return what in the environment says that this is a deployment, or None."""
    if environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        return "SERVER_SOFTWARE"
    return next((name for name in PRODUCTION_SIGNS if environ.get(name)), None)


def several_processes(environ: Mapping[str, str]) -> str | None:
    """Return what says that more than one process will serve, such as `WEB_CONCURRENCY=4`, or None."""
    count, said = _processes(environ)
    return said if count > 1 else None


def process_count(environ: Mapping[str, str]) -> int:
    """Return how many processes the platform is going to start, as far as it says so; 1 where it does not."""
    return _processes(environ)[0]


def _processes(environ: Mapping[str, str]) -> tuple[int, str]:
    for name in _COUNTS:
        text = environ.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,6}", text) and int(text) > 1:
            return int(text), f"{name}={int(text)}"
    count = _gunicorn_workers(environ.get("GUNICORN_CMD_ARGS", ""))
    return count, f"GUNICORN_CMD_ARGS with {count} workers"


def _gunicorn_workers(arguments: str) -> int:
    found = re.findall(r"(?:^|\s)(?:-w|--workers)[=\s]*([0-9]{1,6})(?=\s|$)", arguments)
    return int(found[-1]) if found else 1


def environment_problems(subject: Subject) -> Iterator[Problem]:
    """Yield what is missing: APP_ENV in a deployment, a required URL, a broker."""
    sign = production_sign(subject.sources.environ)
    if not subject.is_set("APP_ENV") and sign is not None:
        message = f"it is not set, and {sign} looks like a deployment; the defaults are those of development"
        yield subject.problem("APP_ENV", "warning", "environment-not-set", message, "set APP_ENV=production")
    if subject.live and not subject.is_set("DATABASE_URL"):
        fix = "set DATABASE_URL=postgresql://user:<password>@host:5432/database"
        message = f"it is not set, and {subject.environment} has no default"
        yield subject.problem("DATABASE_URL", "error", "missing-database-url", message, fix)
    yield from _broker_problems(subject)


def _broker_problems(subject: Subject) -> Iterator[Problem]:
    workers = subject.room(WorkersSettings)
    if workers.engine != "celery" or subject.failed & {"WORKERS_BROKER_URL", "REDIS_URL"}:
        return
    if workers.broker_url is None:
        fix = "set WORKERS_BROKER_URL=redis://host:6379/0, or REDIS_URL"
        message = "it is not set, and WORKERS_ENGINE=celery needs a broker"
        yield subject.problem("WORKERS_BROKER_URL", "error", "missing-broker", message, fix)
        return
    try:
        translated(workers.broker_url.get_secret_value())
    except ValueError as error:
        variable = "WORKERS_BROKER_URL" if subject.is_set("WORKERS_BROKER_URL") else "REDIS_URL"
        fix = "mend what stands behind its question mark, or set WORKERS_BROKER_URL to the same URL without it"
        yield subject.problem(variable, "error", "broker-url-unusable", f"as Celery's broker: {error}", fix)


def process_problems(subject: Subject) -> Iterator[Problem]:
    """Yield what each process would have for itself where several serve."""
    said = several_processes(subject.sources.environ)
    yield from _split_data(subject, said)
    if said is None:
        return
    database = subject.database("DATABASE_URL")
    if database is not None and database.is_memory:
        message = f"with {said} each process has an empty database of its own, which ends with it"
        fix = "use postgresql://user:<password>@host:5432/database, or a file: sqlite:///app.db"
        yield subject.problem("DATABASE_URL", "warning", "memory-per-process", message, fix)
    elif database is not None and database.type is DatabaseType.SQLITE:
        message = f"with {said} the processes wait for one another's writes, and no other machine sees the file"
        fix = "use postgresql://user:<password>@host:5432/database where several processes write"
        yield subject.problem("DATABASE_URL", "warning", "sqlite-with-processes", message, fix)
    if subject.room(RedisSettings).url is None and "REDIS_URL" not in subject.failed:
        message = f"it is not set, and with {said} each process has a cache of its own: what one deletes, others keep"
        yield subject.problem("REDIS_URL", "warning", "cache-per-process", message, "set REDIS_URL=redis://host:6379/0")


def _split_data(subject: Subject, said: str | None) -> Iterator[Problem]:
    fallback = subject.database("DATABASE_FALLBACK_URL")
    if fallback is None:
        return
    main = subject.database("DATABASE_URL")
    if main is not None and main.connection_string == fallback.connection_string:
        message = "it is the same database as DATABASE_URL, and no help when that one fails"
        yield subject.problem("DATABASE_FALLBACK_URL", "warning", "fallback-is-database", message, "name another file")
    elif said is not None or subject.live:
        why = f"with {said}" if said else f"in {subject.environment}"
        message = f"{why}, a process that falls back writes to a database that the others do not see"
        fix = "leave DATABASE_FALLBACK_URL out where data must not split; it has no default in staging and production"
        yield subject.problem("DATABASE_FALLBACK_URL", "warning", "fallback-splits-data", message, fix)
