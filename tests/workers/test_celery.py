"""Celery as the engine: what it is configured with, what jobs and tasks become, what reaches it when they fail."""

import signal
import sys

import flask
import pytest
from celery import Celery

from settings.problems import BootstrapError
from settings.workers.celery import build_celery
from settings.workers.model import WorkersSettings
from settings.workers.runs import RunResult
from settings.workers.scheduler import Workers
from tests.servers import wait_until
from tests.workers.conftest import FakeClaims, MakeWorkers


def _built(make_workers: MakeWorkers, url: str = "memory://", **options: object) -> tuple[Workers, Celery]:
    workers = make_workers(**options)
    app, _ = build_celery(workers, WorkersSettings(engine="celery", broker_url=url), app_name="orders")
    return workers, app


def test_every_job_is_a_task_and_an_entry_of_beat(make_workers: MakeWorkers) -> None:
    """Jobs registered before and after are there under their own names."""
    workers = make_workers()
    workers.worker(lambda: None, every=30, name="before")
    app, _ = build_celery(workers, WorkersSettings(engine="celery", broker_url="memory://"), app_name="orders")
    workers.worker(lambda: None, cron="0 3 * * *", name="after")
    entries = app.conf.beat_schedule
    assert {name: entry["task"] for name, entry in entries.items()} == {
        "before": "before", "after": "after", "after (take over)": "after",
    }  # fmt: skip
    assert {"before", "after"} <= set(app.tasks)


def test_celery_is_configured_from_the_settings(make_workers: MakeWorkers) -> None:
    """JSON only, acknowledged late, one at a time, results ignored, our own logging."""
    _, app = _built(make_workers, "redis://broker:6379/3")
    wanted = {
        "broker_url": "redis://broker:6379/3", "task_default_queue": "orders", "accept_content": ["json"],
        "task_serializer": "json", "task_acks_late": True, "worker_prefetch_multiplier": 1,
        "task_ignore_result": True, "worker_hijack_root_logger": False, "timezone": "UTC",
    }  # fmt: skip
    assert {name: app.conf[name] for name in wanted} == wanted
    assert app.conf.task_time_limit < app.conf.broker_transport_options["visibility_timeout"]


def test_task_that_may_take_long_is_not_handed_out_while_it_runs(make_workers: MakeWorkers) -> None:
    """The broker waits for longer than the longest time limit of a task or job before it gives it to another worker."""
    workers, app = _built(make_workers, "redis://broker:6379/3")
    assert app.conf.broker_transport_options["visibility_timeout"] == 1860
    workers.task(lambda: None, name="quick", timeout=5)
    assert app.conf.broker_transport_options["visibility_timeout"] == 1860
    workers.task(lambda: None, name="slow", timeout=7200)
    assert app.tasks["slow"].time_limit < app.conf.broker_transport_options["visibility_timeout"]
    workers.worker(lambda: None, name="nightly", cron="0 3 * * *", timeout=20_000)
    assert 20_000 < app.tasks["nightly"].time_limit < app.conf.broker_transport_options["visibility_timeout"]


def test_celery_without_a_broker_is_refused(make_workers: MakeWorkers) -> None:
    """Without a URL the error names the variable."""
    with pytest.raises(ValueError, match="WORKERS_BROKER_URL"):
        build_celery(make_workers(), WorkersSettings(engine="celery"), app_name="orders")


def test_two_applications_do_not_share_tasks(make_workers: MakeWorkers) -> None:
    """A task of one application is not registered in another one of the same process."""
    workers, _ = _built(make_workers)
    workers.task(lambda: None, name="mine")
    _, other = _built(make_workers)
    assert "mine" not in other.tasks


def test_serving_process_runs_only_the_jobs_of_each_process(make_workers: MakeWorkers, claims: FakeClaims) -> None:
    """With Celery, a process that serves leaves the fleet's jobs alone and says where they run."""
    ran: list[str] = []
    workers, _ = _built(make_workers)
    workers.worker(lambda: ran.append("once"), every=0.02, name="once")
    workers.worker(lambda: ran.append("each"), every=0.02, name="each", once=False)
    workers.start()
    wait_until(lambda: ran.count("each") >= 3)
    assert "once" not in ran
    assert [job.detail for job in workers.jobs()] == ["runs on Celery workers", ""]


def test_failing_job_fails_as_a_task(make_workers: MakeWorkers, claims: FakeClaims) -> None:
    """What a job raises reaches Celery, after it was noted in the claim; what ends processes is wrapped."""
    workers, app = _built(make_workers)
    workers.worker(lambda: 1 / 0, every=30, name="divides")
    workers.worker(lambda: sys.exit(3), every=30, name="exits")
    with pytest.raises(ZeroDivisionError):
        app.tasks["divides"]()
    with pytest.raises(RuntimeError, match="SystemExit"):
        app.tasks["exits"]()
    assert claims.finished == [("divides", "failed"), ("exits", "failed")]


def test_run_that_a_worker_cuts_off_is_no_failure(
    make_workers: MakeWorkers, claims: FakeClaims, caplog: pytest.LogCaptureFixture
) -> None:
    """Billiard ends a process of the pool by SystemExit: job and task pass it on, so that each is handed out again."""
    workers, app = _built(make_workers)

    def cut_off() -> None:
        raise SystemExit(-(256 - signal.SIGTERM))

    workers.worker(cut_off, every=30, name="job")
    workers.task(cut_off, name="task")
    for name in ("job", "task"):
        with pytest.raises(SystemExit):
            app.tasks[name]()
    assert claims.finished == []
    assert caplog.messages == []
    assert not flask.has_app_context()


def test_job_waits_while_the_claims_are_away(make_workers: MakeWorkers, claims: FakeClaims) -> None:
    """A tick during an outage of the database runs nothing and fails nothing."""
    workers, app = _built(make_workers)
    workers.worker(lambda: None, every=30, name="waits")
    claims.error = ConnectionError("away")
    assert app.tasks["waits"]() == "not due"
    claims.error = None
    assert app.tasks["waits"]() == "ok"


def test_outcome_of_a_run() -> None:
    """A result is what Celery shows."""
    from settings.workers.celery import _ended

    assert _ended(RunResult("timeout", 2.0, "too long")) == "timeout"


def test_a_broker_that_celery_cannot_open_ends_the_boot_readably(make_workers: MakeWorkers) -> None:
    """Variable, cause and fix instead of a traceback of Celery's client; the password is masked."""
    settings = WorkersSettings(engine="celery", broker_url="amqp://app:S3cretWord@h?heartbeat=x")
    with pytest.raises(BootstrapError) as caught:
        build_celery(make_workers(), settings, app_name="tests")
    assert str(caught.value).startswith("WORKERS_BROKER_URL (amqp://app:***@h?heartbeat=x): ")
    assert caught.value.diagnosis.code == "broker-url-unusable"
