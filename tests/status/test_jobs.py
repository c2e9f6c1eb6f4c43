"""The workers of the fleet, from all processes and the history."""

from settings.status.jobs import merged_jobs
from settings.status.merge import processes_of
from tests.status.conftest import snapshot


def test_a_job_of_the_fleet_is_told_by_its_history() -> None:
    """For a job that runs once, outcome, duration and next run are those of the claim's row."""
    jobs = [{"name": "report", "schedule": "every 60 s", "once": True}]
    row = {"job": "report", "due_at": 160.0, "lease_until": 0.0, "owner": "web-2:7", "runs": 5, "failures": 2,
           "started_at": 100.0, "duration_seconds": 1.5, "outcome": "failed", "error": "boom"}  # fmt: skip
    (line,) = merged_jobs(processes_of(snapshot("a", jobs=jobs), [snapshot("b", jobs=jobs)]), [row], 130.0)
    assert (line.outcome, line.error, line.runs, line.owner, line.next_run) == ("failed", "boom", 5, "web-2:7", 160.0)
    (running,) = merged_jobs(processes_of(snapshot("a", jobs=jobs), []), [{**row, "lease_until": 140.0}], 130.0)
    assert (running.outcome, running.duration_seconds, running.error) == ("running", None, "")


def test_a_job_of_each_process_shows_its_latest_run() -> None:
    """For a job that runs everywhere, the newest run counts and the runs add up."""
    rows = [
        snapshot(name, jobs=[{"name": "health", "once": False, "runs": 2, "last_started": at, "last_outcome": outcome}])
        for name, at, outcome in [("a", 100.0, "ok"), ("b", 110.0, "failed")]
    ]
    (line,) = merged_jobs(processes_of(rows[0], rows[1:]), [], 120.0)
    assert (line.outcome, line.last_run, line.owner, line.runs, line.processes) == ("failed", 110.0, "b", 4, 2)


def test_a_job_that_overruns_is_not_called_running() -> None:
    """A run beyond its time limit stays visible as that while its lease is kept."""
    jobs = [{"name": "report", "once": True, "state": "overrunning", "last_started": 90.0}]
    row = {"job": "report", "lease_until": 140.0, "owner": "a", "runs": 1, "failures": 0, "started_at": 90.0}
    (line,) = merged_jobs(processes_of(snapshot("a", jobs=jobs), []), [row], 130.0)
    assert (line.outcome, line.owner) == ("overrunning", "a")


def test_history_of_jobs_that_nobody_has_is_left_out() -> None:
    """A row of a job that was renamed says nothing of the workers of today."""
    assert merged_jobs(processes_of(snapshot("a"), []), [{"job": "old"}], 130.0) == []
