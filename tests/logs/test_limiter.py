"""The limiter's law, its bound, its lock and its child."""

import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.logs.limiter import OTHERS, About, ErrorRateLimiter, Summary

Step = tuple[str, float, bool]
pauses = st.integers(0, 320).map(lambda eighths: eighths / 8)
"""Seconds whose sums are exact, so that a clock's rounding stays out of what is compared."""
steps = st.lists(st.tuples(st.sampled_from("abcdef"), pauses, st.booleans()), max_size=200)


@given(steps, st.integers(1, 4), st.integers(0, 3))
def test_seen_is_logged_plus_suppressed(calls: list[Step], room: int, per_minute: int) -> None:
    """For any order, pace, memory and times of summing up: each error is one that passed, or in one summary."""
    now = 0.0
    limiter = ErrorRateLimiter(per_minute=per_minute, max_fingerprints=room, clock=lambda: now, wall=lambda: now + 9)
    passed, summaries = 0, list[Summary]()
    for fingerprint, pause, sum_up in calls:
        now += pause
        passed += limiter.should_log(fingerprint)
        summaries += limiter.summaries() if sum_up else []
        figures = limiter.statistics()
        assert figures["seen"] == figures["logged"] + figures["suppressed"]
        assert figures["fingerprints"] <= room
    summaries += limiter.close()
    figures = limiter.statistics()
    assert (figures["seen"], figures["logged"]) == (len(calls), passed)
    assert sum(each.suppressed for each in summaries) == figures["suppressed"]
    assert all(each.suppressed > 0 and 9 <= each.first_seen <= each.last_seen <= now + 9.1 for each in summaries)
    assert limiter.summaries() == []


@given(steps)
def test_no_more_than_the_limit_pass_in_a_minute(calls: list[Step]) -> None:
    """From the first one on, two pass each minute and every further one is held back."""
    now = 0.0
    limiter = ErrorRateLimiter(per_minute=2, clock=lambda: now)
    begun: dict[str, float] = {}
    passed: dict[str, int] = {}
    for fingerprint, pause, _ in calls:
        now += pause
        if fingerprint not in begun or now >= begun[fingerprint] + 60:
            begun[fingerprint], passed[fingerprint] = now, 0
        passed[fingerprint] += 1
        assert limiter.should_log(fingerprint) == (passed[fingerprint] <= 2)


def test_a_minute_later_the_same_error_passes_again() -> None:
    """The window ends after a minute."""
    now = 0.0
    limiter = ErrorRateLimiter(per_minute=1, clock=lambda: now)
    assert [limiter.should_log("x") for _ in range(3)] == [True, False, False]
    now = 60.0
    assert limiter.should_log("x")


def test_the_one_unused_for_longest_is_forgotten() -> None:
    """Use keeps a fingerprint; what is forgotten passes again, and what was held back of it is summed up still."""
    limiter = ErrorRateLimiter(per_minute=1, max_fingerprints=2)
    for fingerprint in ("a", "b", "b", "a", "c"):
        limiter.should_log(fingerprint)
    assert not limiter.should_log("a")
    assert limiter.should_log("b")
    assert {each.fingerprint: each.suppressed for each in limiter.summaries()} == {"a": 2, "b": 1}


def test_more_storms_than_are_remembered_are_summed_up_together() -> None:
    """Memory is bounded between two summaries too, and no count is lost."""
    limiter = ErrorRateLimiter(per_minute=1, max_fingerprints=3)
    for n in range(10):
        for _ in range(4):
            limiter.should_log(f"error {n}")
    found = {each.fingerprint: each.suppressed for each in limiter.summaries()}
    assert found == {"error 0": 3, "error 1": 3, "error 2": 3, OTHERS: 21}
    assert OTHERS == "others"
    assert limiter.summaries() == []


def test_the_summary_of_the_others_has_their_moments() -> None:
    """First and last of those held back since the last summary; `on_hold` hears of none of them."""
    now, heard = 0.0, list[Summary]()
    limiter = ErrorRateLimiter(
        per_minute=1, max_fingerprints=1, clock=lambda: now, wall=lambda: 1000 + now, on_hold=heard.append
    )

    def others_of(fingerprints: str) -> tuple[float, float]:
        nonlocal now
        for fingerprint in fingerprints:
            now += 1
            limiter.should_log(fingerprint)
            limiter.should_log(fingerprint)
        _, others = limiter.summaries()
        assert others.about.example.startswith("errors of more kinds")
        return others.first_seen, others.last_seen

    assert others_of("abcd") == (1002, 1004)
    assert others_of("efg") == (1006, 1007)
    assert [each.fingerprint for each in heard] == ["a", "e"]


def test_closed_it_lets_everything_pass() -> None:
    """Nobody would tell any more what is held back."""
    limiter = ErrorRateLimiter(per_minute=1)
    assert [limiter.should_log("x") for _ in range(2)] == [True, False]
    limiter.close()
    assert [limiter.should_log("x") for _ in range(2)] == [True, True]


def test_without_arguments_it_keeps_the_documented_bounds() -> None:
    """Five a minute, ten thousand fingerprints, twenty repeated errors; and nothing is known of an error untold."""
    limiter = ErrorRateLimiter(clock=lambda: 0.0)
    assert [limiter.should_log("x") for _ in range(6)] == [True] * 5 + [False]
    (summary,) = limiter.summaries()
    assert summary.about == About() == About("", "", "ERROR")
    for n in range(10_001):
        limiter.should_log(str(n))
        limiter.should_log(str(n))
    assert limiter.statistics()["fingerprints"] == 10_000
    assert len(limiter.repeated()) == 20


def test_the_hold_is_told_once_between_summaries() -> None:
    """`on_hold` hears of the first record that is held back, with its example."""
    heard: list[Summary] = []
    limiter = ErrorRateLimiter(per_minute=2, describe=lambda text: About(text.upper()), on_hold=heard.append)
    for _ in range(9):
        limiter.should_log("x", "boom")
    assert [(each.fingerprint, each.suppressed, each.about.example) for each in heard] == [("x", 1, "BOOM")]
    limiter.summaries()
    limiter.should_log("x", "boom")
    assert len(heard) == 2


def test_a_hold_is_never_told_without_its_example() -> None:
    """Though the thread that saw the second occurrence is still describing it."""
    heard: list[Summary] = []

    def describe(text: str) -> About:
        if text == "slow":
            limiter.should_log("x", "quick")  # stands for another thread at this very moment
        return About(text)

    limiter = ErrorRateLimiter(per_minute=2, describe=describe, on_hold=heard.append)
    limiter.should_log("x", "first")
    limiter.should_log("x", "slow")
    assert [each.about.example for each in heard] == ["quick"]


def test_a_clock_read_late_turns_no_summary_round() -> None:
    """Of two threads the one that read the clock first may count last."""
    moments = iter([0.0, 2.0, 2.0, 1.0, 1.0])
    limiter = ErrorRateLimiter(per_minute=1, clock=lambda: next(moments), wall=lambda: 100.0)
    for _ in range(3):
        limiter.should_log("x")
    (summary,) = limiter.summaries()
    assert summary.first_seen <= summary.last_seen


def test_the_default_example_is_masked_and_short() -> None:
    """No password of a URL stands in a summary, and none is long."""
    limiter = ErrorRateLimiter(per_minute=1)
    for _ in range(2):
        limiter.should_log("x", "redis://:s3cret@host/0 " + "y" * 1000)
    (summary,) = limiter.summaries()
    assert "s3cret" not in repr(summary)
    assert len(summary.about.example) == 300


def test_repeated_errors_have_all_their_counts() -> None:
    """First, last and number of all occurrences, the ones that passed included."""
    now = 0.0
    limiter = ErrorRateLimiter(per_minute=2, clock=lambda: now, wall=lambda: 1000 + now, describe=lambda about: about)
    for now in (1.0, 2.0, 3.0, 4.0):  # noqa: B007 - the clock reads it
        limiter.should_log("x", About("boom", "orders.py:7", "CRITICAL"))
    (row,) = limiter.repeated()
    assert (row.seen, row.suppressed, row.first_seen, row.last_seen) == (4, 2, 1001.0, 1004.0)
    assert (row.example, row.where, row.level) == ("boom", "orders.py:7", "CRITICAL")


def test_an_error_that_came_once_is_told_with_its_moment() -> None:
    """It may have come once in each process of a fleet; nobody has described it."""
    limiter = ErrorRateLimiter(clock=lambda: 7.0, wall=lambda: 1007.0)
    limiter.should_log("x", "boom")
    (row,) = limiter.repeated()
    assert (row.fingerprint, row.seen, row.suppressed, row.example) == ("x", 1, 0, "")
    assert (row.first_seen, row.last_seen) == (1007, 1007)


def test_a_limit_of_zero_lets_everything_pass() -> None:
    """It turns the limit off, not the log."""
    limiter = ErrorRateLimiter(per_minute=0)
    assert all(limiter.should_log("x") for _ in range(100))


def test_a_reset_forgets_everything() -> None:
    """Counts and fingerprints begin anew."""
    limiter = ErrorRateLimiter(per_minute=1)
    limiter.should_log("x")
    limiter.should_log("x")
    limiter.reset()
    assert set(limiter.statistics().values()) == {0}
    assert limiter.summaries() == []
    assert limiter.should_log("x")


@pytest.mark.parametrize("calls", [4_000, pytest.param(125_000, marks=pytest.mark.full)])
def test_no_count_is_lost_between_threads(calls: int) -> None:
    """Eight threads, evictions and a ninth that sums up all the time: every error is somewhere, once."""
    limiter = ErrorRateLimiter(per_minute=3, max_fingerprints=5)
    passed, summed, done = [0] * 8, [0], threading.Event()

    def storm(thread: int) -> None:
        passed[thread] = sum(limiter.should_log(f"error {(n * (thread + 1)) % 7}") for n in range(calls))

    def sum_up() -> None:
        while not done.wait(0.001):
            summed[0] += sum(each.suppressed for each in limiter.summaries())

    workers = [threading.Thread(target=storm, args=(thread,)) for thread in range(8)]
    summing = threading.Thread(target=sum_up)
    for each in (summing, *workers):
        each.start()
    for each in workers:
        each.join()
    done.set()
    summing.join()
    summed[0] += sum(each.suppressed for each in limiter.close())
    figures = limiter.statistics()
    assert (figures["seen"], figures["logged"], figures["suppressed"]) == (8 * calls, sum(passed), summed[0])


def test_a_signal_handler_may_interrupt_a_decision() -> None:
    """A handler that logs while this very thread decides neither hangs nor loses a count."""
    limiter = ErrorRateLimiter(per_minute=1)
    interruptions = 0

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interruptions
        interruptions += 1
        limiter.should_log("x")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    calls = 0
    try:
        while interruptions < 50:
            limiter.should_log("x")
            calls += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert limiter.statistics()["seen"] == calls + interruptions
    assert sum(each.suppressed for each in limiter.close()) == calls + interruptions - 1


def test_a_forked_child_starts_at_zero() -> None:
    """The child's counts are its own."""
    limiter = ErrorRateLimiter(per_minute=1)
    limiter.should_log("x")
    if (child := os.fork()) == 0:
        os._exit(limiter.statistics()["seen"])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert limiter.statistics()["seen"] == 1


def test_a_fork_leaves_the_lock_to_every_thread() -> None:
    """In the parent and in the child another thread than the one that forked may log."""
    limiter = ErrorRateLimiter()

    def another_thread_logs() -> bool:
        thread = threading.Thread(target=limiter.should_log, args=("x",), daemon=True)
        thread.start()
        thread.join(10)
        return not thread.is_alive()

    if (child := os.fork()) == 0:
        os._exit(0 if another_thread_logs() else 1)
    assert another_thread_logs()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
