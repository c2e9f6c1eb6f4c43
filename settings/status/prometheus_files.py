"""Counters and histograms in the files of prometheus_client's multiprocess mode, which add up over processes.

That mode is switched on for a whole process by an environment variable before the first import, would change
the application's own metrics too, and asks for a hook in gunicorn's configuration. So the same files are
written here through the library's own writer, in a folder that the processes of one server find by themselves.
"""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from settings.status.ended_files import allocate, alone, fold, sound

FILE_BYTES = 1 << 20
GRAINS = 1 << 20
REQUESTS = "twelvefactor_http_requests"
DURATION = "twelvefactor_http_request_duration_seconds"
REQUESTS_HELP = "Requests answered, by endpoint and status."
DURATION_HELP = "Time to answer a request, by endpoint."


class _Writer(Protocol):
    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set a number."""

    def close(self) -> None:
        """Close the file."""


class PrometheusFiles:
    """The two files of this process; not thread-safe.

    Args:
        folder: Shared by the processes of one server; made when it is missing.

    Raises:
        OSError: The folder is somebody else's, or the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to somebody else")
        with suppress(OSError), alone(folder, wait_seconds=0):
            fold(folder)  # where nobody scrapes, those that begin tidy up after those that ended
        name = f"{os.getpid()}-{secrets.token_hex(4)}.db"
        self._counters, self._histograms = (_writer(folder / f"{kind}_{name}") for kind in ("counter", "histogram"))
        self._keys: dict[object, str] = {}

    def counter(self, name: str, help_text: str, labels: Mapping[str, str], value: float) -> None:
        """Set what this process has counted since it began."""
        found = (name, *labels.values())
        if (key := self._keys.get(found)) is None:
            key = self._keys[found] = mmap_key(name, f"{name}_total", list(labels), list(labels.values()), help_text)
        self._counters.write_value(key, value, 0.0)

    def requests(self, endpoint: str, status: int, count: int) -> None:
        """Set how many requests this process answered."""
        self.counter(REQUESTS, REQUESTS_HELP, {"endpoint": endpoint, "status": str(status)}, count)

    def durations(self, endpoint: str, total: float, buckets: Sequence[tuple[str, int]]) -> None:
        """Set the sum of an endpoint's durations, in seconds, and some of its buckets by upper bound.

        The sum is a whole number of 2^-20 seconds: such numbers add up to the same in any order, while a sum that
        gets less by a rounding is a counter that began anew for Prometheus.
        """
        self._histogram("_sum", {"endpoint": endpoint}, round(total * GRAINS) / GRAINS)
        for bound, count in buckets:
            self._histogram("_bucket", {"endpoint": endpoint, "le": bound}, count)

    def close(self) -> None:
        """Let go of the files, which stay."""
        self._counters.close()
        self._histograms.close()

    def _histogram(self, suffix: str, labels: Mapping[str, str], value: float) -> None:
        found = (suffix, *labels.values())
        if (key := self._keys.get(found)) is None:
            name = f"{DURATION}{suffix}"
            key = self._keys[found] = mmap_key(DURATION, name, list(labels), list(labels.values()), DURATION_HELP)
        self._histograms.write_value(key, value, 0.0)


class ServerCollector(Collector):
    """Adds up the files of all processes of a server, those that ended too.

    Args:
        folder: Shared by the processes of one server; made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return each metric with its samples.

        Raises:
            OSError: The files cannot be read, or another process has been at them for long.
        """
        with alone(self._folder):
            fold(self._folder)
            files = sorted(self._folder.glob("*.db"))
            try:
                return _merged(files)
            except OSError:
                raise
            except Exception:  # noqa: BLE001 - a damaged file, which is named and set aside
                return _merged(sound(files))


def _merged(files: Iterable[Path]) -> Iterable[Metric]:
    metrics: Iterable[Metric] = MultiProcessCollector.merge(list(map(str, files)))  # type: ignore[no-untyped-call] # the library annotates in part
    return metrics


def _writer(path: Path) -> _Writer:
    """Make a file; it gets its name when it is whole, since a scrape of another process may read it at once."""
    unnamed = path.with_suffix(".new")
    allocate(unnamed, FILE_BYTES)
    unnamed.rename(path)
    writer: _Writer = MmapedDict(str(path))  # type: ignore[no-untyped-call] # the library annotates in part
    return writer
