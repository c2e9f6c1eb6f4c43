"""When Celery's beat sends the jobs of the fleet; whether a tick is a run is decided by the claims."""

import math
from datetime import UTC, datetime
from typing import Any

from celery.schedules import BaseSchedule, schedstate, schedule

from settings.workers.cron import Cron
from settings.workers.jobs import JobDefinition

LONGEST_TICK_SECONDS = 60.0
"""Beat does not remember what it sent before it was restarted, nor see a run whose worker died; the claims do."""
SHORTEST_EXPIRY_SECONDS = 1.0


class CronSchedule(BaseSchedule):  # type: ignore[misc] # Celery ships no types
    """A crontab line for Celery's beat, read as the rest of this package reads it."""

    def __init__(self, cron: Cron, **options: Any) -> None:
        super().__init__(**options)
        self.cron = cron

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Return whether the line has fired since the last run, and the seconds until beat should look again."""
        now = datetime.now(UTC)
        due = self.cron.next_after(last_run_at.astimezone(UTC)) <= now
        return schedstate(due, (self.cron.next_after(now) - now).total_seconds())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CronSchedule) and other.cron.text == self.cron.text

    def __hash__(self) -> int:
        return hash(self.cron.text)


def beat_entries(definition: JobDefinition) -> dict[str, dict[str, Any]]:
    """Return the entries of a job by their names: its own, and one for runs that died where its own comes seldom.

    A job with an interval over a minute has a tick a minute or more often, which divides the interval: a beat that is
    restarted more often than once an interval would never send it otherwise.
    """
    name = definition.name
    if definition.cron is None:
        every = definition.interval_seconds()
        seconds = every / math.ceil(every / LONGEST_TICK_SECONDS)
        return {name: _entry(name, schedule(seconds), seconds)}
    return {
        name: _entry(name, CronSchedule(definition.cron), definition.interval_seconds()),
        f"{name} (take over)": {
            **_entry(name, schedule(LONGEST_TICK_SECONDS), LONGEST_TICK_SECONDS), "kwargs": {"only_lost": True},
        },
    }  # fmt: skip


def _entry(name: str, when: BaseSchedule, seconds: float) -> dict[str, Any]:
    # what nobody took before the next tick is of no use any more
    options = {"expires": max(seconds, SHORTEST_EXPIRY_SECONDS), "ignore_result": True}
    return {"task": name, "schedule": when, "options": options}
