"""A job's definition: its defaults, and how long a claim holds the others off."""

from typing import Any

import pytest

from settings.workers.jobs import JobDefinition, define_job


def _define(**options: Any) -> JobDefinition:
    given: dict[str, Any] = dict.fromkeys(("every", "cron", "timeout", "jitter", "first"))
    return define_job(lambda: None, **{**given, "name": "job", "once": True, **options})


def test_defaults() -> None:
    """5 % jitter up to 5 s, the first run after one interval, no time limit."""
    job = _define(every=30)
    assert (job.jitter, job.first, job.timeout, job.schedule) == (1.5, 30, None, "every 30 s")
    assert _define(every=3600).jitter == 5
    assert _define(cron="0 3 * * *").jitter == 1


def test_claim_holds_for_an_interval_or_half_a_gap() -> None:
    """A job with an interval is claimed on its grid; a daily one for half a day, by each process's own clock."""
    assert _define(every=30).claim_seconds() == 30
    assert _define(cron="0 3 * * *").claim_seconds() <= 12 * 3600
    assert _define(cron="* * * * *").claim_seconds() == pytest.approx(30)
