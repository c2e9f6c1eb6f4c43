"""The laws of the pauses."""

from threading import Event

from hypothesis import given
from hypothesis import strategies as st

from settings.backoff import Deadline, backoff_seconds, pause_before_retry


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(0, 200), st.floats(0, 1, exclude_max=True))
def test_no_pause_exceeds_its_cap(first: float, cap: float, retries: int, factor: float) -> None:
    """Whatever the retry's number, a pause stays within the cap and the ceiling doubles up to it."""
    pauses = list(backoff_seconds(first=first, cap=cap, retries=retries, jitter=lambda: factor))
    assert len(pauses) == retries
    assert all(0 <= pause <= cap for pause in pauses)


def test_a_stop_ends_the_wait_at_once() -> None:
    """A process that is told to end does not sleep on."""
    stop = Event()
    stop.set()
    assert not pause_before_retry(30, Deadline(60), stop)


def test_no_attempt_begins_after_the_deadline() -> None:
    """A pause that would pass the deadline is not slept."""
    assert not pause_before_retry(5, Deadline(1), Event())
