"""The benchmark harness: what it calls a ratio is one, and its command runs a real bar."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.benchmarks.__main__ import all_bars
from tests.benchmarks.harness import Bar, Figure, Sampler, as_json, measure, smoke, table
from tests.running import HOUSE


def bar(mine: list[float], other: list[float], *, limit: float, order: list[str] | None = None) -> Bar:
    """Return a bar whose samples cost what the lists say, one after the other."""
    costs = {"mine": iter(mine), "other": iter(other)}

    def sampler(side: str) -> Sampler:
        def sample() -> float:
            if order is not None:
                order.append(side)
            return next(costs[side])

        return sample

    @contextmanager
    def pair() -> Iterator[tuple[Sampler, Sampler]]:
        yield sampler("mine"), sampler("other")

    return Bar("P0", "one thing", "another", limit, pair, samples=3)


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    """The first pair warms up and does not count; one slow sample does not decide."""
    figure = measure(bar([9.0, 3.0, 2.0, 90.0], [1.0, 2.0, 2.0, 2.0], limit=1.5))
    assert (figure.ours_us, figure.theirs_us, figure.ratio, figure.held) == (3e6, 2e6, 1.5, True)


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    """Both of a pair are slow then, wherever the medians of each side end up."""
    figure = measure(bar([1.0, 1.1, 2.2, 5.5], [1.0, 1.0, 2.0, 5.0], limit=1.1))
    assert figure.ratio == pytest.approx(1.1)


def test_a_ratio_above_the_limit_is_not_held() -> None:
    """One above the bar is said, in the table and as JSON."""
    figure = measure(bar([1.0, 3.2], [1.0, 2.0], limit=1.5), samples=1)
    assert not figure.held
    assert " NO " in table([figure])
    assert as_json([figure])[0]["held"] is False


def test_the_sides_take_turns_in_going_first() -> None:
    """A B, B A, A B: what one leaves in the caches helps the other as often as itself."""
    order: list[str] = []
    measure(bar([1.0] * 4, [1.0] * 4, limit=1, order=order))
    assert order[2:] == ["mine", "other", "other", "mine", "mine", "other"]


def test_a_smoked_bar_runs_each_side_once() -> None:
    """Not even a warm-up comes before it."""
    order: list[str] = []
    assert smoke(bar([4.0], [2.0], limit=1, order=order)).ratio == 2
    assert order == ["mine", "other"]


@pytest.mark.parametrize("promise", range(1, 15))
def test_every_promise_of_speed_has_a_bar(promise: int) -> None:
    """P1 to P14 are measured, each bar under a key of its own."""
    keys = [each.key for each in all_bars()]
    assert len(keys) == len(set(keys))
    assert any(key.split(".")[0] == f"P{promise}" for key in keys)


def test_the_command_measures_a_real_bar() -> None:
    """`--only` chooses, `--json` is one list of figures, and a smoked bar decides no exit status."""
    command = [sys.executable, "-m", "tests.benchmarks", "--only", "P13.none", "--smoke", "--json"]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60, check=True)
    [figure] = [Figure(**each) for each in json.loads(done.stdout)]
    assert figure.key == "P13.none"
    assert min(figure.ours_us, figure.theirs_us) > 0
