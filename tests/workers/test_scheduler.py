"""The workers of one process: registered, run in their context on threads of their own, closed in bounded time."""

import logging
import os
import threading
import time

import flask
import pytest

from settings.probe import HealthStatus
from tests.servers import wait_until
from tests.workers.conftest import FakeClaims, MakeWorkers, threads_named


def _messages(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= level and each.name.startswith("settings")]


def test_job_runs_in_an_application_context_on_a_thread_of_its_own(make_workers: MakeWorkers) -> None:
    """A job that is registered before the start runs again and again, named in its thread, with its context."""
    workers, seen = make_workers(), []

    @workers.worker(every=0.05, jitter=0, once=False)
    def tick() -> None:
        seen.append((flask.has_app_context(), threading.current_thread().name))

    workers.start()
    wait_until(lambda: len(seen) >= 3)
    assert set(seen) == {(True, "worker-tick")}


def test_job_registered_after_the_start_runs_too(make_workers: MakeWorkers) -> None:
    """Registration and start may come in either order."""
    workers, ran = make_workers(), threading.Event()
    workers.start()
    workers.worker(ran.set, every=0.05, name="late", once=False)
    assert ran.wait(5)


def test_job_called_directly_has_a_context(make_workers: MakeWorkers) -> None:
    """What `worker` returns can be called like the function, and pushes a context."""
    workers = make_workers()
    assert workers.worker(every=60, name="direct")(flask.has_app_context)() is True


def test_nothing_runs_before_the_start(make_workers: MakeWorkers) -> None:
    """Registering starts no thread and asks no claims."""
    make_workers().worker(lambda: None, every=0.01, name="early")
    assert threads_named("worker-", "APScheduler") == []


def test_disabled_workers_never_start(make_workers: MakeWorkers) -> None:
    """With WORKERS_ENABLED=false a start does nothing, and the reading says why."""
    workers = make_workers(settings={"enabled": False})
    workers.start()
    assert not workers.running
    assert (workers.reading().status, workers.reading().detail) == (HealthStatus.DISABLED, "WORKERS_ENABLED is false")


def test_failing_job_is_logged_once_a_run_and_kept(
    make_workers: MakeWorkers, claims: FakeClaims, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception is logged with its traceback, recorded in the claim, counted, and the job runs again."""
    workers, runs = make_workers(), []

    @workers.worker(every=0.05, jitter=0)
    def fragile() -> None:
        runs.append(1)
        raise ValueError("postgresql://app:secret@db/app is gone")

    workers.start()
    wait_until(lambda: len(claims.finished) >= 2)
    workers.close()
    assert _messages(caplog, logging.ERROR) == [
        "Worker fragile failed: ValueError: postgresql://app:***@db/app is gone"
    ] * len(runs)
    assert all(each.exc_info for each in caplog.records if each.levelno == logging.ERROR)
    job = workers.jobs()[0]
    assert (job.failures, job.failures_in_a_row, job.last_outcome) == (len(runs), len(runs), "failed")
    assert claims.finished[0] == ("fragile", "failed")


def test_job_that_fails_in_a_row_makes_the_workers_unhealthy(make_workers: MakeWorkers) -> None:
    """Two failures in a row show in the reading, with the error and a fix."""
    workers = make_workers()
    workers.worker(lambda: 1 / 0, every=0.02, jitter=0, name="divides", once=False)
    workers.start()
    wait_until(lambda: workers.reading().status is HealthStatus.UNHEALTHY)
    reading = workers.reading()
    assert reading.code == "worker-failed"
    assert "divides" in reading.detail
    assert "ZeroDivisionError" in reading.cause
    assert reading.fix


def test_request_in_a_job_is_explained_in_the_log(make_workers: MakeWorkers, caplog: pytest.LogCaptureFixture) -> None:
    """A job that uses `request` fails with the sentence that says what to do instead."""
    workers = make_workers()
    workers.worker(lambda: flask.request.path, every=0.02, name="asks", once=False)
    workers.start()
    wait_until(lambda: any("runs outside any request" in each for each in _messages(caplog)))


def test_claims_that_are_away_are_said_once_and_waited_for(
    make_workers: MakeWorkers, claims: FakeClaims, caplog: pytest.LogCaptureFixture
) -> None:
    """While the database is away nothing runs, one line and the health say so; afterwards the jobs go on."""
    caplog.set_level(logging.INFO)
    workers, ran = make_workers(), []
    claims.error = ConnectionError("connection refused")
    for name in ("first", "second"):
        workers.worker(lambda: ran.append(1), every=0.05, jitter=0, name=name)
    workers.start()
    wait_until(lambda: all("waits" in job.detail for job in workers.jobs()))
    assert workers.reading().code == "worker-claims-unavailable"
    assert ran == []
    claims.error = None
    wait_until(lambda: len(ran) >= 2 and workers.reading().status is HealthStatus.HEALTHY)
    said = [each for each in _messages(caplog, logging.INFO) if "claims" in each]
    assert len([each for each in said if each.startswith("Workers wait")]) == 1
    assert len([each for each in said if each.startswith("Workers go on")]) == 1


def test_long_job_never_overlaps_with_itself(make_workers: MakeWorkers) -> None:
    """A job that takes longer than its interval is not begun twice, and what it missed is not made up for."""
    workers, running, most, runs = make_workers(), [], [0], []

    @workers.worker(every=0.02, jitter=0, once=False)
    def slow() -> None:
        running.append(1)
        most[0] = max(most[0], len(running))
        time.sleep(0.1)
        running.pop()
        runs.append(1)

    workers.start()
    wait_until(lambda: len(runs) >= 3)
    assert most == [1]


def test_run_beyond_its_time_limit_is_reported(
    make_workers: MakeWorkers, claims: FakeClaims, caplog: pytest.LogCaptureFixture
) -> None:
    """While it overruns, the log and the health say so; when it ends, its outcome is `timeout`."""
    workers, go, claims.pauses["long"] = make_workers(), threading.Event(), 60  # one run is enough
    workers.worker(lambda: go.wait(10), every=60, jitter=0, name="long", timeout=0.05)
    workers.start()
    wait_until(lambda: workers.jobs()[0].state == "overrunning")
    assert workers.reading().code == "worker-overran"
    go.set()
    wait_until(lambda: claims.finished == [("long", "timeout")])
    assert len([each for each in _messages(caplog) if "[worker-overran]" in each]) == 1


def test_close_waits_for_a_running_job(make_workers: MakeWorkers) -> None:
    """A job that ends within the grace time is waited for, and sees that the end has begun."""
    workers, began, ended = make_workers(), threading.Event(), []

    @workers.worker(every=60, jitter=0, once=False, first=0)
    def job() -> None:
        began.set()
        wait_until(lambda: workers.stopping)
        ended.append(1)

    workers.start()
    assert began.wait(5)
    workers.close()
    assert ended == [1]
    wait_until(lambda: threads_named("worker-", "APScheduler") == [], what="the end of its threads")


def test_close_leaves_behind_what_does_not_end(make_workers: MakeWorkers, caplog: pytest.LogCaptureFixture) -> None:
    """A job that goes on beyond the grace time is named in the log, and close returns; a second close does nothing."""
    workers, began, go = make_workers(), threading.Event(), threading.Event()

    @workers.worker(every=60, jitter=0, once=False, first=0)
    def stubborn() -> None:
        began.set()
        go.wait(10)

    workers.start()
    assert began.wait(5)
    workers.close(0.05)
    workers.close()
    assert [each for each in _messages(caplog) if "stubborn" in each and "left behind" in each]
    go.set()
    wait_until(lambda: threads_named("worker-") == [])


def test_workers_start_again_after_a_close(make_workers: MakeWorkers) -> None:
    """Start, start, close, start: runs again."""
    workers, ran = make_workers(), threading.Event()
    workers.start()
    workers.start()
    workers.close()
    workers.worker(ran.set, every=0.02, name="again", once=False)
    workers.start()
    assert ran.wait(5)


def test_forked_child_runs_nothing_until_it_starts(make_workers: MakeWorkers) -> None:
    """A child keeps the registrations, has no thread, and can start its own."""
    workers = make_workers()
    workers.worker(lambda: None, every=0.02, name="tick", once=False)
    workers.start()
    wait_until(lambda: workers.jobs()[0].runs > 0)
    child = os.fork()
    if child == 0:
        idle = not workers.running and workers.jobs()[0].runs == 0
        workers.start()
        deadline = time.monotonic() + 5
        while workers.jobs()[0].runs == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if idle and workers.jobs()[0].runs else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_cron_job_is_planned_at_its_time(make_workers: MakeWorkers) -> None:
    """A cron job in each process shows its schedule and waits for it."""
    workers, ran = make_workers(), []
    workers.worker(lambda: ran.append(1), cron="0 3 1 1 *", name="yearly", once=False)
    workers.start()
    job = workers.jobs()[0]
    assert (job.schedule, ran) == ("cron 0 3 1 1 *", [])


def test_coroutine_function_is_a_job(make_workers: MakeWorkers) -> None:
    """A job may be a coroutine function; it is run to its end, in its context."""
    workers, seen = make_workers(), []

    @workers.worker(every=0.02, once=False)
    async def waits() -> None:
        seen.append(flask.has_app_context())

    workers.start()
    wait_until(lambda: seen != [])
    assert seen[0] is True


def test_log_context_names_the_worker(make_workers: MakeWorkers) -> None:
    """`bound(worker=name)` is around each run."""
    import contextlib
    from collections.abc import Iterator

    fields: list[dict[str, object]] = []

    @contextlib.contextmanager
    def bound(**values: object) -> Iterator[None]:
        fields.append(values)
        yield

    workers = make_workers(bound=bound)
    workers.worker(lambda: None, every=0.02, name="named", once=False)
    workers.start()
    wait_until(lambda: fields != [])
    assert fields[0] == {"worker": "named"}
