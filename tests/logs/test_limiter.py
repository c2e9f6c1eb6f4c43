"""The limiter's law, its bound and its child."""

import os

from hypothesis import given
from hypothesis import strategies as st

from settings.logs.limiter import ErrorRateLimiter


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 40)), max_size=200), st.integers(1, 4))
def test_seen_is_logged_plus_suppressed_plus_nothing(calls: list[tuple[str, float]], room: int) -> None:
    """For any order of errors, any pace and any memory: every one is in a line or in exactly one summary."""
    now = 0.0
    limiter = ErrorRateLimiter(per_minute=2, max_fingerprints=room, clock=lambda: now, wall=lambda: now + 1)
    passed = 0
    for fingerprint, pause in calls:
        now += pause
        passed += limiter.should_log(fingerprint)
    figures = limiter.statistics()
    assert figures["seen"] == len(calls) == figures["logged"] + figures["suppressed"]
    assert figures["logged"] == passed
    assert sum(each.suppressed for each in limiter.summaries()) == figures["suppressed"]
    assert limiter.summaries() == []
    assert figures["fingerprints"] <= room


def test_a_minute_later_the_same_error_passes_again() -> None:
    """The window ends after a minute."""
    now = 0.0
    limiter = ErrorRateLimiter(per_minute=1, clock=lambda: now)
    assert [limiter.should_log("x") for _ in range(3)] == [True, False, False]
    now = 60.0
    assert limiter.should_log("x")


def test_a_forked_child_starts_at_zero() -> None:
    """The child's counts are its own."""
    limiter = ErrorRateLimiter(per_minute=1)
    limiter.should_log("x")
    if (child := os.fork()) == 0:
        os._exit(limiter.statistics()["seen"])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert limiter.statistics()["seen"] == 1
