"""What is said of repeated errors, and when."""

import threading
from collections.abc import Mapping

import pytest

from settings.logs.limiter import About, ErrorRateLimiter, Summary
from settings.logs.storms import Storms

Said = tuple[str, str, Mapping[str, object]]


class Log:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.enough = threading.Event()

    def say(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        """Keep one line."""
        self.said.append((level, message, fields))
        if fields["event"] == "over":
            self.enough.set()

    def events(self) -> list[tuple[object, object]]:
        """Return kind and count of each line."""
        return [(fields["event"], fields["suppressed"]) for _, _, fields in self.said]


@pytest.fixture
def log() -> Log:
    """What is said."""
    return Log()


def _summary(count: int, begin: float = 0.0, end: float = 0.0) -> Summary:
    return Summary("f1", count, begin, end, About("boom", "a.py:7", "WARNING"))


def test_a_storm_has_a_beginning_summaries_and_an_end(log: Log) -> None:
    """One line when it begins, one each interval, one when an interval passed without it."""
    rounds = iter([[_summary(10, 0, 50)], [_summary(5, 60, 90)], [], []])
    storms = Storms(summaries=lambda: next(rounds), say=log.say, interval=3600)
    storms.begin(_summary(1))
    storms.begin(_summary(1))
    for _ in range(4):
        storms.report()
    storms.stop()
    assert log.events() == [("held-back", 1), ("summary", 10), ("summary", 5), ("over", 15)]
    assert {level for level, _, _ in log.said} == {"WARNING"}
    assert "over after 90.0 s" in log.said[-1][1]


def test_a_line_says_what_where_and_which(log: Log) -> None:
    """People find the example, the place and the fingerprint in the text itself."""
    storms = Storms(summaries=list, say=log.say, interval=60)
    storms.tell(_summary(1, 0, 0))
    assert log.said[0][1] == (
        "repeated error, held back 1 time from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z: boom (a.py:7) [f1]"
    )


def test_the_timer_needs_no_further_call(log: Log) -> None:
    """From the first one held back, everything else comes by itself."""
    storms: Storms
    limiter = ErrorRateLimiter(per_minute=1, on_hold=lambda first: storms.begin(first))
    storms = Storms(summaries=limiter.summaries, say=log.say, interval=0.05)
    for _ in range(100):
        limiter.should_log("f1", "boom")
    assert log.enough.wait(10)
    storms.stop()
    assert sum(int(str(count)) for event, count in log.events() if event == "summary") == 99


def test_no_timer_runs_without_need(log: Log) -> None:
    """A process in which nothing is held back has no thread of ours, until it is asked for; stopping ends it."""
    before = set(threading.enumerate())
    storms = Storms(summaries=list, say=log.say, interval=3600)
    assert set(threading.enumerate()) <= before
    storms.start()
    storms.start()
    assert [each.name for each in set(threading.enumerate()) - before] == ["log-summaries"]
    storms.stop()
    storms.stop()
    assert set(threading.enumerate()) <= before
    storms.start()
    assert set(threading.enumerate()) <= before


def test_a_timer_that_could_not_start_starts_later(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an outage a process may be out of threads for a while."""
    before = set(threading.enumerate())
    storms = Storms(summaries=list, say=log.say, interval=3600)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        storms.begin(_summary(1))
    assert set(threading.enumerate()) <= before
    storms.begin(_summary(1))
    assert [each.name for each in set(threading.enumerate()) - before] == ["log-summaries"]
    storms.stop()


def test_a_clock_that_was_set_back_ends_no_storm_before_it_began(log: Log) -> None:
    """The length of a storm is never less than nothing."""
    rounds = iter([[_summary(5, 1000, 1000)], []])
    storms = Storms(summaries=lambda: next(rounds), say=log.say, interval=3600)
    storms.begin(_summary(1, 5000, 5000))
    storms.report()
    storms.report()
    storms.stop()
    assert "over after 0.0 s" in log.said[-1][1]
