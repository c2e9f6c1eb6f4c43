"""What this process counts for /metrics, and where the processes of one server meet to add it up."""

import bisect
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from settings.forks import watch_forks
from settings.status.diagnosis import diagnose, line

if TYPE_CHECKING:
    from settings.status.prometheus_files import PrometheusFiles

log = logging.getLogger(__name__)
SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BOUNDS = (*map(str, SECONDS_BUCKETS), "+Inf")
OPEN_AFTER_SECONDS = 1.0
"""The library is imported this long after the first request, on a thread: no boot and no request pays for it."""


class _Durations:
    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.total, self.buckets = 0.0, [0] * len(BOUNDS)


class Tally:
    """Counts requests in memory and writes through to the files of this process; thread-safe.

    A forked child counts from zero in files of its own. Files of a process that ended stay, since counters
    must not go back; they go when the next server of this name starts.

    Args:
        folder: Shared by the processes of one server.
        open_after_seconds: Seconds from the first count to the opening of the files.
    """

    def __init__(self, folder: Path, *, open_after_seconds: float = OPEN_AFTER_SECONDS) -> None:
        self.folder, self._open_after = folder, open_after_seconds
        self._fresh()
        watch_forks(self)

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = {}
        self._durations: dict[str, _Durations] = {}
        self._files: PrometheusFiles | None = None
        self._opening = False

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        place = bisect.bisect_left(SECONDS_BUCKETS, seconds)
        with self._lock:
            count = self._requests[endpoint, status] = self._requests.get((endpoint, status), 0) + 1
            durations = self._durations.get(endpoint) or self._durations.setdefault(endpoint, _Durations())
            durations.total += seconds
            durations.buckets[place] += 1
            if self._files is not None and count > 1:
                self._files.requests(endpoint, status, count)
                self._files.durations(endpoint, durations.total, [(BOUNDS[place], durations.buckets[place])])
            elif self._files is not None:
                self._write(self._files)
        if not self._opening:
            self._opening = True
            threading.Thread(target=self._open_later, name="status-metrics", daemon=True).start()

    def put(self, name: str, help_text: str, labels: Mapping[str, str], value: float) -> None:
        """Set a counter to what this process has counted since it began; opens the files."""
        with self._lock:
            self._opened().counter(name, help_text, labels, value)

    def _open_later(self) -> None:
        threading.Event().wait(self._open_after)
        try:
            with self._lock:
                self._opened()
        except OSError as error:
            log.warning("%s", line(diagnose("metrics-unavailable", error=error)))

    def _opened(self) -> "PrometheusFiles":
        if self._files is None:
            from settings.status.prometheus_files import PrometheusFiles  # late, see OPEN_AFTER_SECONDS

            self._files = PrometheusFiles(self.folder)
            self._write(self._files)
        return self._files

    def _write(self, files: "PrometheusFiles") -> None:
        """Write all of it: a histogram must have every bucket from the beginning."""
        for (endpoint, status), count in self._requests.items():
            files.requests(endpoint, status, count)
        for endpoint, durations in self._durations.items():
            files.durations(endpoint, durations.total, list(zip(BOUNDS, durations.buckets, strict=True)))

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero, in new files."""
        self._fresh()


def server_folder(app_name: str, *, parent: Path | None = None) -> Path:
    """Return the folder that all processes of this server share, and delete those of servers that are gone.

    A server is a process group: a master and its workers have one in common, whoever imports the application.
    """
    parent = parent or Path(tempfile.gettempdir())
    safe = "".join(each if each.isalnum() else "_" for each in f"{app_name}_{socket.gethostname()}")
    prefix = f"twelvefactor_{os.getuid()}_{safe}-"
    group = os.getpgid(0)
    _delete_gone(parent.glob(f"{prefix}*"), prefix)
    return parent / f"{prefix}{group}-{_started(group)}"


def _delete_gone(folders: Iterable[Path], prefix: str) -> None:
    for folder in folders:
        group, _, started = folder.name.removeprefix(prefix).partition("-")
        if group.isdigit() and not _is_alive(int(group), started):
            rmtree(folder, ignore_errors=True)


def _is_alive(group: int, started: str) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _started(group) in (started, "")


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the machine did: tells it from a later one of the same number."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""
