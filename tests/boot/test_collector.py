"""The garbage collector around a boot."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from settings.boot.collector import resting_collector

AFTER_A_BOOT = """
import gc
from bootstrap import bootstrap
assert gc.isenabled(), "after the import"
first = bootstrap(start=False)
assert gc.isenabled() and (frozen := gc.get_freeze_count()) > 10_000
first.close()
bootstrap(start=False).close()
assert gc.get_freeze_count() <= frozen, "a second boot froze more"
"""
AFTER_A_FAILURE = """
import gc
before = gc.get_freeze_count()  # Python 3.12 begins with some hundred of its own
from settings import SettingsError
from bootstrap import bootstrap
try:
    bootstrap()
except SettingsError:
    assert gc.isenabled() and gc.get_freeze_count() == before
else:
    raise AssertionError("booted")
"""


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    """Leave the collector as every process begins."""
    gc.enable()
    yield
    gc.enable()


def test_collector_rests_for_the_block_only() -> None:
    """It is off within the block, and on again after it, also after an exception."""
    with resting_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), resting_collector():
        1 / 0  # noqa: B018 - raises
    assert gc.isenabled()


def test_collector_that_was_off_stays_off() -> None:
    """A process that has switched it off for reasons of its own keeps its way."""
    gc.disable()
    with resting_collector():
        assert not gc.isenabled()
    assert not gc.isenabled()


@pytest.mark.parametrize(
    ("script", "variables"),
    [(AFTER_A_BOOT, {}), (AFTER_A_FAILURE, {"LOG_LEVEL": "LOUD"})],
    ids=["booted", "failed"],
)
def test_boot_hands_the_collector_back(
    script: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, working_directory: object
) -> None:
    """After a boot it works again, and skips what the first boot has made; a boot that failed keeps nothing."""
    del working_directory  # the SQLite file belongs there
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
