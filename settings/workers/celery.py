"""Celery as the engine: every job a task and an entry of its beat, every run by the same context and claims."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery, signals

from settings.problems import BootstrapError, mask_url
from settings.workers.beat import beat_entries
from settings.workers.broker import unusable_broker
from settings.workers.broker_url import REDIS, BrokerURL, translated
from settings.workers.ending import end_in_time
from settings.workers.jobs import JobDefinition
from settings.workers.model import WorkersSettings
from settings.workers.patience import outlive_the_broker
from settings.workers.publishing import BrokerPublisher
from settings.workers.runs import Runner, RunResult
from settings.workers.scheduler import Workers
from settings.workers.tasks import Task, TaskReceipt

log = logging.getLogger(__name__)

LONGEST_TASK_SECONDS = 1800
"""A task without a time limit of its own is ended after this."""
HANDED_OUT_AGAIN_SECONDS = 60
"""How long after the longest time limit the broker hands out anew what nobody has acknowledged."""
RESULT_SECONDS = 3600
CHATTY = ("celery.utils.functional", "celery.worker.strategy", "celery.app.trace")
"""Loggers that tell of each task at INFO or DEBUG, with its arguments, which may hold what no log should."""


class CeleryEngine:
    """Makes tasks and beat entries of jobs, and publishes the calls of tasks.

    Args:
        app: The Celery application.
        runner: Gives each call of a task its context.
        run_due: Claims and runs a job by its name; with `only_lost`, only a run whose process died.
        publisher: Sends calls within bounded time.
    """

    where = "runs on Celery workers"

    def __init__(
        self, app: Celery, *, runner: Runner, run_due: Callable[..., RunResult | None], publisher: BrokerPublisher
    ) -> None:
        self.app, self._runner, self._run_due, self._publisher = app, runner, run_due, publisher

    def add_job(self, definition: JobDefinition) -> None:
        """Make a task of a job and let beat send it; two beats are safe, since each run is claimed."""

        def run(*, only_lost: bool = False) -> str:
            return self._job(definition.name, only_lost=only_lost)

        longer = (definition.timeout or 0) + HANDED_OUT_AGAIN_SECONDS
        self._register(definition.name, run, {"time_limit": longer} if longer > LONGEST_TASK_SECONDS else {})
        self.app.conf.beat_schedule.update(beat_entries(definition))

    def add_task(self, task: Task) -> None:
        """Make a Celery task of a task."""

        def run(*args: object, **kwargs: object) -> object:
            return _ended(self._runner.run(task.name, task.function, *args, **kwargs))

        self._register(task.name, run, _limits(task.timeout))

    def publish(self, task: Task, args: tuple[object, ...], kwargs: dict[str, object]) -> TaskReceipt:
        """Send a call to the broker and return what became of it, in bounded time."""
        return self._publisher.publish(self.app.tasks[task.name], args, kwargs)

    def _register(self, name: str, run: Callable[..., object], options: dict[str, Any]) -> None:
        # `throws`: the failure is in the log already, with its traceback; Celery notes it in a line.
        self.app.task(run, name=name, shared=False, throws=(Exception,), typing=False, **options)
        transport = self.app.conf.broker_transport_options
        if "visibility_timeout" in transport:  # a task that may take longer would be handed out while it runs
            wanted = options.get("time_limit", 0) + HANDED_OUT_AGAIN_SECONDS
            transport["visibility_timeout"] = max(transport["visibility_timeout"], wanted)

    def _job(self, name: str, *, only_lost: bool) -> str:
        result = self._run_due(name, only_lost=only_lost)
        return "not due" if result is None else _ended(result)


def build_celery(
    workers: Workers,
    settings: WorkersSettings,
    *,
    app_name: str,
    connect_timeout: float = 0.5,
    timeout: float = 0.5,
    retry_after: float = 15.0,
    clock: Callable[[], float] = time.monotonic,
    at_process_end: Callable[[], object] = lambda: None,
) -> tuple[Celery, BrokerPublisher]:
    """Return the Celery application of these settings, and what publishes to its broker; nothing is connected.

    All jobs and tasks of `workers`, those to come too, run on Celery from now on.

    Args:
        workers: Where jobs and tasks are registered.
        settings: WORKERS_, with the broker's URL.
        app_name: Name of the application, of its queue, and of its control messages.
        connect_timeout: Seconds that publishing may wait for a connection.
        timeout: Seconds that publishing may wait for one answer.
        retry_after: Seconds after a failure in which publishing is refused at once.
        clock: Monotonic clock, in seconds.
        at_process_end: Called at the end of each process of a worker's pool, which runs no exit function of Python's.

    Raises:
        ValueError: There is no broker's URL.
        BootstrapError: Celery's client cannot read it, or is not installed.
    """
    if settings.broker_url is None:
        raise ValueError("WORKERS_BROKER_URL is not set, and Celery needs a broker")
    url = settings.broker_url.get_secret_value()
    if unusable := unusable_broker(url):
        raise BootstrapError("WORKERS_BROKER_URL", mask_url(url), unusable)
    app = Celery(app_name, set_as_current=False)
    broker = translated(url)
    app.conf.update(_configuration(broker, app_name))
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    signals.setup_logging.connect(_keep_logging, weak=False, dispatch_uid="twelvefactor-logging")
    end_in_time(settings.grace)
    signals.worker_process_shutdown.connect(
        partial(_end_process, at_process_end), weak=False, dispatch_uid=f"twelvefactor-end-{app_name}"
    )
    if broker.scheme in REDIS:
        outlive_the_broker()
    publisher = BrokerPublisher(
        app, connect_timeout=connect_timeout, timeout=timeout, retry_after=retry_after, clock=clock
    )
    engine = CeleryEngine(app, runner=workers.runner, run_due=workers.run_due, publisher=publisher)
    workers.hand_over(engine)
    return app, publisher


def _configuration(broker: BrokerURL, app_name: str) -> dict[str, Any]:
    patience = {"visibility_timeout": LONGEST_TASK_SECONDS + HANDED_OUT_AGAIN_SECONDS}
    return {
        "broker_url": broker.url,
        "broker_use_ssl": dict(broker.tls) or False,
        "result_backend": broker.results,
        "redis_backend_use_ssl": dict(broker.tls) or None,
        "result_expires": RESULT_SECONDS,
        "task_ignore_result": True,
        "task_default_queue": app_name,
        "broker_transport_options": patience if broker.scheme in REDIS else {},
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": LONGEST_TASK_SECONDS,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "beat_scheduler": "celery.beat:Scheduler",  # keeps no file: the claims know what has run
        "beat_schedule": {},
        "enable_utc": True,
        "timezone": "UTC",
    }


def _limits(timeout: float | None) -> dict[str, Any]:
    return {} if timeout is None else {"soft_time_limit": timeout, "time_limit": timeout + 5}


def _ended(result: RunResult) -> str:
    """Return the outcome, or raise what the run raised, so that Celery counts it as failed."""
    if result.raised is None:
        return result.outcome
    if isinstance(result.raised, Exception):
        raise result.raised
    raise RuntimeError(result.error)  # SystemExit and its like would end the worker


def _keep_logging(**_values: object) -> None:
    """Stand in for Celery's own set-up of the logs, which ours must outlive."""


def _end_process(close: Callable[[], object], **_values: object) -> None:
    """Close what this process has: its connections, and its log with the last summaries."""
    close()
