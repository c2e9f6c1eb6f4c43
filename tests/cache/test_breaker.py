"""When Redis is left alone, and who may ask it again: on a clock that the test moves."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from settings.cache.breaker import Breaker
from settings.problems import Diagnosis
from tests.cache.conftest import Clock

PASSES = Diagnosis("redis-refused", "nothing listens", "start it", transient=True)
STAYS = Diagnosis("redis-wrong-password", "it is wrong", "mend it", transient=False)


def test_closed_until_a_failure() -> None:
    """A new breaker is closed and lets nobody probe, though nothing has to be waited for."""
    breaker = Breaker(retry_after=15, clock=Clock())
    assert not breaker.is_open
    assert (breaker.interval, breaker.due_in(), breaker.opened_at) == (15, 0, 0)
    assert not breaker.claim_probe()


def test_only_the_first_failure_opens() -> None:
    """Of many failures at once exactly one hears that it opened the breaker."""
    breaker = Breaker(retry_after=15, clock=Clock())
    assert [breaker.open(PASSES) for _ in range(3)] == [True, False, False]
    assert breaker.diagnosis == PASSES


def test_one_probe_after_the_interval() -> None:
    """Nobody may probe before the interval has passed, one caller may afterwards, and then nobody again."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    breaker.open(PASSES)
    clock.now += 14.9
    assert not breaker.claim_probe()
    clock.now += 0.1
    assert [breaker.claim_probe() for _ in range(3)] == [True, False, False]
    clock.now += 100
    assert not breaker.claim_probe(), "the first one is still probing"


def test_a_slow_probe_does_not_put_the_next_one_off() -> None:
    """Intervals are counted from begin to begin."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    breaker.open(PASSES)
    clock.now += 15
    breaker.claim_probe()
    clock.now += 10
    breaker.probe_failed(PASSES)
    assert breaker.due_in() == 5


def test_a_fault_that_stays_is_asked_about_slowly() -> None:
    """A wrong password is tried again, but less often; the reason that a probe met last decides."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    breaker.open(STAYS)
    assert breaker.due_in() == 60
    clock.now += 60
    assert breaker.claim_probe()
    breaker.probe_failed(PASSES)
    assert breaker.due_in() == 15


def test_a_probe_that_failed_is_followed_by_the_next() -> None:
    """After each interval somebody may ask again, and what is overdue is due now."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    breaker.open(PASSES)
    for _ in range(3):
        clock.now += 20
        assert breaker.due_in() == 0
        assert breaker.claim_probe()
        breaker.probe_failed(PASSES)


def test_a_second_outage_is_like_the_first() -> None:
    """A probe that closed the breaker is not held to be under way when it opens again."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    for _ in range(2):
        assert breaker.open(PASSES)
        assert not breaker.claim_probe()
        clock.now += 15
        assert breaker.claim_probe()
        assert breaker.close() == 15


def test_a_forked_child_probes_for_itself() -> None:
    """The probe that the parent had begun keeps nobody in the child from probing."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    breaker.open(PASSES)
    clock.now += 15
    breaker.claim_probe()
    breaker.forget_probe()
    assert breaker.is_open
    clock.now += 15
    assert breaker.claim_probe()


def test_closing_tells_how_long_it_was_open() -> None:
    """The length of an outage is counted from the failure that opened the breaker."""
    clock = Clock()
    breaker = Breaker(retry_after=15, clock=clock)
    breaker.open(PASSES)
    clock.now += 42
    assert breaker.close() == 42
    assert not breaker.is_open


@given(st.lists(st.sampled_from(["fail", "claim", "failed", "wait"]), max_size=60), st.floats(0.1, 100))
def test_probes_are_never_closer_than_the_interval(steps: list[str], retry_after: float) -> None:
    """Whatever happens in whatever order, two probes of one outage begin at least one interval apart."""
    clock = Clock()
    breaker = Breaker(retry_after=retry_after, clock=clock)
    begins: list[float] = []
    for step in steps:
        clock.now += retry_after / 3 if step == "wait" else 0
        if step == "fail":
            breaker.open(PASSES)
        elif step == "claim" and breaker.claim_probe():
            begins.append(clock.now)
        elif step == "failed" and breaker.is_open:
            breaker.probe_failed(PASSES)
    gaps = [later - earlier for earlier, later in itertools.pairwise(begins)]
    assert all(gap >= retry_after * 0.999 for gap in gaps)
