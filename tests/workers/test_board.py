"""What the jobs of a process say of its workers."""

from dataclasses import replace

from settings.probe import HealthStatus
from settings.workers.board import Board, judged
from settings.workers.jobs import JobStatus, define_job

FINE = JobStatus("fine", "every 30 s", once=True)


def test_jobs_that_fail_or_overrun_make_it_unhealthy() -> None:
    """One failure says nothing, two in a row do; a job beyond its limit comes first. Each has a cause and a fix."""
    once = replace(FINE, failures_in_a_row=1)
    failing = replace(FINE, name="bad", failures_in_a_row=2, last_error="KeyError: 'x'")
    late = replace(FINE, name="late", state="overrunning")
    assert judged([FINE, once], {"jobs": 2}).status is HealthStatus.HEALTHY
    reading = judged([FINE, failing], {})
    assert (reading.code, reading.detail) == ("worker-failed", "failing in a row: bad (2 times)")
    assert "KeyError: 'x'" in reading.cause
    reading = judged([failing, late], {})
    assert (reading.code, reading.detail, bool(reading.fix)) == ("worker-overran", "beyond the time limit: late", True)


def test_child_of_a_fork_keeps_the_definitions_only() -> None:
    """After a fork the jobs are known, and have not run."""
    board = Board()
    board.add(define_job(lambda: None, every=30, cron=None, name="job", once=True, timeout=None, jitter=None,
                         first=None))  # fmt: skip
    board.change("job", runs=3, state="running")
    board.before_fork()
    board.after_fork_in_child()
    assert [(each.name, each.runs, each.state) for each in board.statuses()] == [("job", 0, "idle")]
    assert "job" in board
    assert [each.schedule for each in board.definitions()] == ["every 30 s"]
