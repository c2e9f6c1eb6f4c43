"""When beat sends the jobs: at their times, and often enough for a beat that is restarted and a run that died."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from settings.workers.beat import CronSchedule, beat_entries
from settings.workers.celery import build_celery
from settings.workers.cron import Cron
from settings.workers.jobs import define_job
from settings.workers.model import WorkersSettings
from tests.workers.conftest import MakeWorkers, Open, claims_of

BOUNDS = (datetime(2020, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 - Hypothesis takes them naive


@given(st.datetimes(*BOUNDS, timezones=st.just(UTC)))
def test_cron_schedule_agrees_with_cron(moment: datetime) -> None:
    """Beat is told that a line is due exactly when it has fired since the last run."""
    cron = Cron("*/7 3 * * 1-5")
    due, _ = CronSchedule(cron).is_due(moment)
    assert due is (cron.next_after(moment) <= datetime.now(UTC))


@pytest.mark.parametrize(("every", "tick"), [(0.5, 0.5), (30, 30), (60, 60), (90, 45), (3600, 60), (86400, 60)])
def test_tick_comes_once_an_interval_or_once_a_minute(every: float, tick: float) -> None:
    """A tick divides its interval and is never longer than a minute; nobody takes it after the next one."""
    job = define_job(lambda: None, name="job", every=every, cron=None, once=True, timeout=None, jitter=None, first=None)
    (entry,) = beat_entries(job).values()
    assert entry["schedule"].run_every == timedelta(seconds=tick)
    assert entry["options"]["expires"] == max(1, tick)


def test_cron_line_has_its_time_and_a_look_for_dead_runs() -> None:
    """Beat sends the job when its line fires, and each minute for a run whose worker died."""
    job = define_job(
        lambda: None, name="job", every=None, cron="0 3 * * *", once=True, timeout=None, jitter=None, first=None
    )
    entries = beat_entries(job)
    assert entries["job"]["schedule"] == CronSchedule(Cron("0 3 * * *"))
    assert entries["job (take over)"]["schedule"].run_every == timedelta(seconds=60)
    assert entries["job (take over)"]["kwargs"] == {"only_lost": True}


def test_look_for_dead_runs_does_no_other(make_workers: MakeWorkers, open_database: Open) -> None:
    """A cron job that is not lost is left alone by the tick between its times; one that is lost is done again."""
    database, ran = open_database(), list[int]()
    workers = make_workers(claims=claims_of(database, "heir"))
    app, _ = build_celery(workers, WorkersSettings(engine="celery", broker_url="memory://"), app_name="orders")
    workers.worker(lambda: ran.append(1), cron="0 3 29 2 *", name="leap")
    assert app.tasks["leap"](only_lost=True) == "not due"
    assert claims_of(database, "dead").claim("leap", every=40000)
    assert app.tasks["leap"](only_lost=True) == "not due"
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE worker_runs SET lease_until = lease_until - 61"))
    assert app.tasks["leap"](only_lost=True) == "ok"
    assert app.tasks["leap"](only_lost=True) == "not due"
    assert ran == [1]
