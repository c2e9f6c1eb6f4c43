"""The laws of the state machine, with a clock and a jitter of the test's."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.backoff import ceiling_seconds
from settings.websocket.machine import Limits, Machine, State
from settings.websocket.model import WebSocketSettings

limits = st.builds(
    Limits,
    max_retries=st.integers(0, 6),
    retry_delay=st.floats(0.01, 5),
    retry_max_delay=st.floats(0.01, 40),
    cooldown=st.just(0.0) | st.floats(0.01, 400),
)
factors = st.floats(0, 1, exclude_max=True)


@dataclass(frozen=True)
class Outcome:
    """What becomes of one attempt: it takes time, may open, may last for a while, alive or silent, and then fails."""

    takes: float
    holds: float | None
    alive: bool
    transient: bool
    at_least: float


outcomes = st.builds(
    Outcome,
    takes=st.floats(0, 5),
    holds=st.none() | st.floats(0, 100),
    alive=st.booleans(),
    transient=st.sampled_from([True, True, True, True, False]),
    at_least=st.sampled_from([0.0, 0.0, 0.0, 7.5, 900.0]),
)


@dataclass
class Run:
    """A gateway's history, played by the machine with a clock that goes as fast as it likes."""

    limits: Limits
    factor: float
    begun: list[float] = field(default_factory=list)
    pauses: list[float | None] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    now: float = 0.0

    def play(self, history: list[Outcome]) -> "Run":
        """Attempt once for each outcome, or until the machine says never."""
        machine = Machine(self.limits, jitter=lambda: self.factor)
        for outcome in history:
            machine.begin()
            self.begun.append(self.now)
            pause = self._live_through(machine, outcome)
            self.pauses.append(pause)
            self.states.append(machine.state)
            if pause is None:
                break
            self.now += pause
        return self

    def _live_through(self, machine: Machine, outcome: Outcome) -> float | None:
        self.now += outcome.takes
        if outcome.holds is not None:
            machine.opened(self.now)
            assert machine.state is State.CONNECTED
            self.now += outcome.holds
            if outcome.alive:
                machine.heard(self.now)
        self.retries.append(machine.retries)
        return machine.failed(transient=outcome.transient, at_least=outcome.at_least)


def held(limits: Limits, outcome: Outcome) -> bool:
    """Say whether a connection was alive for long enough to clear the count, with room for rounding."""
    return outcome.alive and outcome.holds is not None and outcome.holds > limits.retry_max_delay - 1e-6


@given(limits, factors, st.lists(outcomes, max_size=60))
def test_attempts_stay_within_retries_and_one_for_each_cooldown(
    limits: Limits, factor: float, history: list[Outcome]
) -> None:
    """Without a connection that holds, no window of one cooldown sees more than WS_MAX_RETRIES + 1 attempts."""
    begun = Run(limits, factor).play([each for each in history if not held(limits, each)]).begun
    most = limits.max_retries + 1
    if limits.cooldown == 0:
        assert len(begun) <= most
    for first, after in zip(begun, begun[most:], strict=False):
        assert after - first >= limits.cooldown - 1e-6


@given(limits, factors, st.lists(outcomes, max_size=60))
def test_pauses_keep_their_bounds(limits: Limits, factor: float, history: list[Outcome]) -> None:
    """A pause before a retry is within its ceiling, above what Retry-After asks; after giving up it is the cooldown."""
    run = Run(limits, factor).play(history)
    for outcome, pause, used, state in zip(history, run.pauses, run.retries, run.states, strict=False):
        if state is State.BACKING_OFF:
            ceiling = ceiling_seconds(limits.retry_delay, limits.retry_max_delay, used)
            assert pause == pytest.approx(outcome.at_least + ceiling * factor)
            assert pause is not None
            assert outcome.at_least <= pause <= outcome.at_least + limits.retry_max_delay
        elif outcome.transient and limits.cooldown:
            assert pause == max(limits.cooldown, outcome.at_least)
        else:
            assert pause is None


@given(limits, st.lists(outcomes, max_size=30))
def test_a_permanent_fault_ends_it_at_once(limits: Limits, history: list[Outcome]) -> None:
    """After a fault that cannot pass by itself there is no attempt, whatever the cooldown."""
    run = Run(limits, 0.5).play(history)
    for outcome, pause in zip(history, run.pauses, strict=False):
        assert outcome.transient or pause is None


@given(limits, st.floats(0, 100), st.integers(0, 6))
def test_only_a_connection_that_held_clears_the_count(limits: Limits, lives: float, used: int) -> None:
    """A sign of life after WS_RETRY_MAX_DELAY gives all retries back; an earlier one, or silence, gives none."""
    machine = Machine(limits, jitter=lambda: 0.5)
    for _ in range(used):
        machine.begin()
        machine.failed(transient=True)
    before = machine.retries
    machine.begin()
    assert not machine.heard(1000.0)
    machine.opened(0.0)
    assert machine.retries == before
    assert machine.heard(lives) is (lives > limits.retry_max_delay)
    assert machine.retries == (0 if lives > limits.retry_max_delay else before)


@given(limits, st.integers(0, 20))
def test_a_person_who_asks_gets_all_retries_again(limits: Limits, failures: int) -> None:
    """After `renew` the machine retries as at the beginning."""
    machine = Machine(limits, jitter=lambda: 0.5)
    for _ in range(failures):
        machine.begin()
        machine.failed(transient=True)
    machine.renew()
    states = []
    for _ in range(limits.max_retries + 1):
        machine.begin()
        machine.failed(transient=True)
        states.append(machine.state)
    assert states == [State.BACKING_OFF] * limits.max_retries + [State.UNAVAILABLE]


@pytest.mark.full
@pytest.mark.parametrize("seconds", [86_400])
def test_a_day_of_outage_costs_few_attempts(seconds: float) -> None:
    """With the defaults a gateway that is away for a day is tried 6 times and then once each five minutes."""
    check_outage(seconds)


def test_an_hour_of_outage_costs_few_attempts() -> None:
    """With the defaults a gateway that is away for an hour is tried 6 times and then once each five minutes."""
    check_outage(3600)


def check_outage(seconds: float) -> None:
    """Play an outage of that length with the defaults and no jitter."""
    settings = WebSocketSettings()
    limits = Limits(settings.max_retries, settings.retry_delay, settings.retry_max_delay, settings.cooldown)
    run = Run(limits, 1.0).play(
        [Outcome(0.0, None, alive=False, transient=True, at_least=0.0)] * int(seconds / 300 + 6)
    )
    assert run.pauses[:6] == [1, 2, 4, 8, 16, 300]
    assert sum(begun < seconds for begun in run.begun) <= 6 + seconds / 300
