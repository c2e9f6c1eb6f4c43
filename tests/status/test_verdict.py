"""From services to one word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.probe import HealthStatus
from settings.status.rows import Service
from settings.status.verdict import Verdict, verdict_of, worst


@pytest.mark.parametrize(
    ("status", "critical", "plain"),
    [
        (HealthStatus.HEALTHY, "pass", "pass"),
        (HealthStatus.DISABLED, "pass", "pass"),
        (HealthStatus.FALLBACK, "warn", "warn"),
        (HealthStatus.UNHEALTHY, "fail", "warn"),
        (HealthStatus.UNKNOWN, "fail", "warn"),
    ],
)
def test_verdicts(status: HealthStatus, critical: Verdict, plain: Verdict) -> None:
    """Only a critical service fails the whole; a fallback warns; the words of a snapshot count like the values."""
    for word in (status, status.value):
        assert verdict_of(Service("x", word, critical=True)) == critical
        assert verdict_of(Service("x", word)) == plain


def test_a_word_that_nobody_knows_is_no_health() -> None:
    """A status of a newer version, read from a snapshot, is not taken for well."""
    assert verdict_of(Service("x", "dreaming")) == "warn"


@given(st.lists(st.sampled_from(["pass", "warn", "fail"])))
def test_the_worst_wins(verdicts: list[Verdict]) -> None:
    """The whole is as bad as its worst part, and well when it has none."""
    order = ["pass", "warn", "fail"]
    assert worst(verdicts) == max(verdicts, key=order.index, default="pass")
