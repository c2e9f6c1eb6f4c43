"""Crontab lines fire when crontab(5) says, in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.workers.cron import Cron

NOON = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)  # a Wednesday
BOUNDS = (datetime(2020, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 - Hypothesis takes them naive
moments = st.datetimes(*BOUNDS, timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("* * * * *", "2026-03-04 12:01"),
        ("0 3 * * *", "2026-03-05 03:00"),
        ("*/15 * * * *", "2026-03-04 12:15"),
        ("5,35 13-14 * * *", "2026-03-04 13:05"),
        ("0 0 * * 0", "2026-03-08 00:00"),
        ("0 0 * * 7", "2026-03-08 00:00"),
        ("0 0 * * sun", "2026-03-08 00:00"),
        ("0 0 * * 1", "2026-03-09 00:00"),
        ("0 0 * * FRI-MON", "2026-03-06 00:00"),
        ("0 0 * * 5/1", "2026-03-06 00:00"),
        ("0 0 * * */3", "2026-03-07 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 13 * 5", "2026-03-06 00:00"),  # the 13th, or a Friday
        ("0 0 5 * 5", "2026-03-05 00:00"),
        ("0 0 1 jan *", "2027-01-01 00:00"),
        ("@hourly", "2026-03-04 13:00"),
        ("@daily", "2026-03-05 00:00"),
        ("@weekly", "2026-03-08 00:00"),
        ("@monthly", "2026-04-01 00:00"),
        ("@yearly", "2027-01-01 00:00"),
        ("  0   3 * * *  ", "2026-03-05 03:00"),
    ],
)
def test_line_fires_next(line: str, expected: str) -> None:
    """The first instant after a Wednesday's noon."""
    assert Cron(line).next_after(NOON).strftime("%Y-%m-%d %H:%M") == expected


@pytest.mark.parametrize(
    "line",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "* * * * x",
     "* * * * 1-", "* * * * */0", "0 0 31 2 *", "every day", "@often"],
)  # fmt: skip
def test_line_that_cannot_be_right_is_refused(line: str) -> None:
    """Nothing but ValueError is raised."""
    with pytest.raises(ValueError, match=r"."):
        Cron(line)


@given(st.sampled_from(["*/7 * * * *", "0 3 * * 1-5", "30 2 1,15 * 0", "0 0 29 2 *"]), moments)
def test_next_is_after_and_nothing_lies_between(line: str, moment: datetime) -> None:
    """The next instant is in the future, on a whole minute, and stays next for every moment before it."""
    cron = Cron(line)
    fires = cron.next_after(moment)
    assert fires > moment
    assert (fires.second, fires.microsecond) == (0, 0)
    assert cron.next_after(moment + (fires - moment) / 2) == fires
    assert cron.interval_seconds(moment) == (cron.next_after(fires) - fires).total_seconds()


@given(st.sampled_from(["* * * * *", "*/7 3 * * 1-5", "0,1 0 1 * *", "30 2 1,15 * 0", "0 0 29 2 *"]), moments)
def test_last_is_before_and_nothing_lies_between(line: str, moment: datetime) -> None:
    """The last instant is not in the future, the line fired at it, and the next one is beyond the moment."""
    cron = Cron(line)
    fired = cron.last_before(moment)
    assert fired <= moment < cron.next_after(fired)
    assert cron.next_after(fired - timedelta(seconds=1)) == fired
    assert cron.last_before(fired) == fired


@given(st.sampled_from(["*/7 * * * *", "0,5 0 * * *", "0 3 * * 1-5"]), moments, st.floats(-29, 29))
def test_gap_is_the_same_for_clocks_that_differ(line: str, moment: datetime, skew: float) -> None:
    """A process whose clock is half a minute off sees the same gap from a run to the next."""
    cron = Cron(line)
    fires = cron.next_after(moment)
    gap = (cron.next_after(fires) - fires).total_seconds()
    assert cron.gap_seconds(fires + timedelta(seconds=skew)) == gap
