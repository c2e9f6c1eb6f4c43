"""Random faults in random order: the invariants hold all the time, and all is well again when the faults stop."""

import random
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.world import Load, World, faults

SEED = 20261124
LINES_PER_FAULT = 12
"""What one fault may say in one process: it goes, it comes back, with its summaries."""


def _descriptors(pids: list[int]) -> int:
    return max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def _memory_mib(pids: list[int]) -> float:
    return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20 for pid in pids)


@pytest.mark.timeout(900)
def test_chaos(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """No wrong answer, no lost order, no double run, a bounded log, flat memory, and recovery."""
    chance, seconds = random.Random(SEED), float(pytestconfig.getoption("chaos_seconds"))
    with World(tmp_path) as world:
        world.all_well()
        happened = _storm(world, chance, seconds)
        world.all_well(seconds=30)
        _gaps_are_whole(world)
        warnings = [
            line
            for line in world.shop.output().splitlines()
            if '"level": "WARNING"' in line or '"level": "ERROR"' in line
        ]
        assert len(warnings) <= 4 * LINES_PER_FAULT * len(happened), "\n".join(warnings[-40:])


def _storm(world: World, chance: random.Random, seconds: float) -> list[str]:
    happened: list[str] = []
    before = _descriptors(world.shop.children()), _memory_mib(world.shop.children())
    with Load(world.shop.url, threads=3, pause=0.15) as load:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            happened += _strike(world, chance)
            time.sleep(chance.uniform(0.2, 2))
    assert load.wrong == [], happened
    lost = set(load.accepted) - {row[0] for row in world.rows("SELECT id FROM shop_orders")}
    assert not lost, happened
    assert len(load.refused) <= 3 * happened.count("worker killed"), load.refused
    after = _descriptors(world.shop.children()), _memory_mib(world.shop.children())
    assert after[0] <= before[0] + 20
    assert after[1] <= before[1] + 60
    return happened


def _strike(world: World, chance: random.Random) -> list[str]:
    """Let faults of one or two parts of the world happen at once, and return their names when they are over."""
    parts = faults(world, chance)
    struck = [chance.choice(list(parts[each].items())) for each in chance.sample(list(parts), chance.choice([1, 1, 2]))]
    threads = [threading.Thread(target=fault) for _, fault in struck]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [name for name, _ in struck]


def _gaps_are_whole(world: World) -> None:
    """Two runs of the job lie an interval apart, whoever made them; a run that was late may be followed on the grid."""
    moments = [float(str(row[0])) for row in world.rows("SELECT at FROM shop_runs ORDER BY at")]
    runs_by_second = len(moments) / (moments[-1] - moments[0])
    assert runs_by_second <= 1.05
    assert sum(later - earlier < 0.5 for earlier, later in pairwise(moments)) <= len(moments) * 0.05
