"""Crontab lines, read as crontab(5) reads them, in UTC."""

import re
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MINUTE = timedelta(minutes=1)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")


def _day_number(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if text.isdecimal() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is no day of the week")


def _days_of(part: str) -> set[str]:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is no day of the week")
    step = int(match["step"] or 1)
    if step < 1:
        raise ValueError(f"{part!r} has a step of 0")
    if match["first"] == "*":
        first, last = 0, 6
    else:
        first = _day_number(match["first"])
        last = _day_number(match["last"]) if match["last"] else (6 if match["step"] else first)
    if last < first:
        last += 7
    return {_DAYS[number % 7] for number in range(first, last + 1, step)}


def _week_days(field: str) -> str:
    """Translate a day-of-week field to names: APScheduler's 0 is Monday, crontab's 0 and 7 are Sunday."""
    if field == "*":
        return field
    chosen = set[str]().union(*(_days_of(part) for part in field.lower().split(",")))
    return ",".join(day for day in _DAYS if day in chosen)


class Cron:
    """When a crontab line fires, in UTC.

    Five fields, names of months and days, lists, ranges and steps; `@hourly`, `@daily`, `@weekly`, `@monthly` and
    `@yearly`. As in crontab(5), a day matches when either of two restricted day fields matches.

    Attributes:
        text: The line as it was written.

    Raises:
        ValueError: The line is not a crontab line, or never fires.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        fields = ALIASES.get(self.text.lower(), self.text).split()
        if len(fields) != 5:
            raise ValueError(f"{self.text!r} has {len(fields)} fields instead of 5")
        minute, hour, day, month, weekday = fields
        weekday = _week_days(weekday)
        both = not day.startswith("*") and weekday != "*"
        pairs = [(day, "*"), ("*", weekday)] if both else [(day, weekday)]
        self._triggers = [
            CronTrigger(minute=minute, hour=hour, day=one, month=month.lower(), day_of_week=other, timezone=UTC)
            for one, other in pairs
        ]
        self.next_after(datetime.now(UTC))

    def next_after(self, moment: datetime) -> datetime:
        """Return the first instant after `moment`, in UTC, at which the line fires.

        Raises:
            ValueError: It never fires again, such as `0 0 31 2 *`.
        """
        after = moment + timedelta(microseconds=1)
        found = [trigger.get_next_fire_time(None, after) for trigger in self._triggers]
        instants = [each.astimezone(UTC) for each in found if each is not None]
        if not instants:
            raise ValueError(f"{self.text!r} never fires")
        soonest: datetime = min(instants)
        return soonest

    def last_before(self, moment: datetime) -> datetime:
        """Return the last instant at or before `moment`, in UTC, at which the line fired."""
        back = MINUTE
        while (fired := self.next_after(moment - back)) > moment:
            back *= 2
        until = moment
        while until - fired >= MINUTE:
            middle = fired + (until - fired) / 2
            later = self.next_after(middle)
            fired, until = (later, until) if later <= moment else (fired, middle)
        return fired

    def gap_seconds(self, moment: datetime) -> float:
        """Return the seconds from the minute nearest to `moment`, at which the line has just fired, to the next run."""
        fired = (moment + timedelta(seconds=30)).replace(second=0, microsecond=0)
        return (self.next_after(fired) - fired).total_seconds()

    def interval_seconds(self, moment: datetime) -> float:
        """Return the seconds between the next two instants after `moment`."""
        first = self.next_after(moment)
        return (self.next_after(first) - first).total_seconds()
