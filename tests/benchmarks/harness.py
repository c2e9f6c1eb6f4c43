"""The benchmark harness: each bar pairs our cost with a floor or a peer, sampled A B B A, compared pair by pair."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass

Sampler = Callable[[], float]
"""Runs one sample and returns its cost in seconds."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One promise of speed, as a ratio.

    Attributes:
        key: Short name, such as `P1`, with a suffix where a promise has several bars.
        what: What is measured.
        against: What it is measured against.
        limit: The greatest ratio ours / theirs that holds the promise.
        pair: Opens whatever the samples need and yields (ours, theirs).
        samples: Samples of each side in a full run.
    """

    key: str
    what: str
    against: str
    limit: float
    pair: Callable[[], AbstractContextManager[tuple[Sampler, Sampler]]]
    samples: int = 9


@dataclass(frozen=True, slots=True)
class Figure:
    """What a run of a bar showed; costs in microseconds, at the median."""

    key: str
    what: str
    against: str
    ours_us: float
    theirs_us: float
    ratio: float
    limit: float
    held: bool


def _interleaved(ours: Sampler, theirs: Sampler, samples: int) -> Iterator[tuple[float, float]]:
    for n in range(samples):
        if n % 2:
            second, first = theirs(), ours()
        else:
            first, second = ours(), theirs()
        yield first, second


def measure(bar: Bar, *, samples: int | None = None) -> Figure:
    """Run one bar after one unmeasured pair of samples; the ratio is the median of the pairs' own.

    The two of a pair run one after the other, so that what slows the machine down for a while slows both.
    """
    with bar.pair() as (ours, theirs):
        ours(), theirs()
        pairs = list(_interleaved(ours, theirs, samples or bar.samples))
    return _figure(bar, pairs)


def smoke(bar: Bar) -> Figure:
    """Run both sides of a bar once, cold: it shows that the bar can be measured, and nothing of its ratio."""
    with bar.pair() as (ours, theirs):
        return _figure(bar, [(ours(), theirs())])


def _figure(bar: Bar, pairs: Sequence[tuple[float, float]]) -> Figure:
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / two for one, two in pairs)
    return Figure(bar.key, bar.what, bar.against, mine * 1e6, other * 1e6, ratio, bar.limit, ratio <= bar.limit)


def per_call(function: Callable[[], object], *, number: int) -> Sampler:
    """Return a sampler of one call's wall time, from a loop of `number` calls."""

    def sample() -> float:
        begin = time.perf_counter()
        for _ in range(number):
            function()
        return (time.perf_counter() - begin) / number

    return sample


def cpu_per_call(function: Callable[[], object], *, number: int) -> Sampler:
    """Return a sampler of one call's CPU time in this thread: other work on the machine does not count."""

    def sample() -> float:
        begin = time.thread_time()
        for _ in range(number):
            function()
        return (time.thread_time() - begin) / number

    return sample


def pair(ours: Sampler, theirs: Sampler) -> Callable[[], AbstractContextManager[tuple[Sampler, Sampler]]]:
    """Return what opens a pair of samplers that need nothing opened."""

    @contextmanager
    def opened() -> Iterator[tuple[Sampler, Sampler]]:
        yield ours, theirs

    return opened


def process_cpu(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    expect: Sequence[int] = (0,),
) -> Sampler:
    """Return a sampler of a whole process's CPU time (user and system): wall time swings too much."""

    def sample() -> float:
        process = subprocess.Popen(
            command, env=None if env is None else dict(env), cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        words = process.stderr.read()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode in expect, words.decode(errors="replace")
        return usage.ru_utime + usage.ru_stime

    return sample


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table for people."""
    head = f"{'bar':<8} {'held':<5} {'ratio':>7} {'limit':>7} {'ours µs':>12} {'theirs µs':>12}  what, against what"
    rows = [
        f"{each.key:<8} {'yes' if each.held else 'NO':<5} {each.ratio:>7.2f} {each.limit:>7.2f} "
        f"{each.ours_us:>12.2f} {each.theirs_us:>12.2f}  {each.what} / {each.against}"
        for each in figures
    ]
    return "\n".join([head, *rows])


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return the figures as JSON-ready objects."""
    return [asdict(each) for each in figures]
