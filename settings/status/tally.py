"""What this process counts for /metrics, and where the processes of one server meet to add it up."""

import bisect
import logging
import os
import socket
import tempfile
import threading
import weakref
from collections import deque
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
WRITE_AFTER_SECONDS = 1.0
"""Counts reach the files so much later, on a thread: neither a boot nor a request pays for library and files."""
MOST_FRESH = 100
"""Requests that are counted together, which costs each of them less; their order does not matter."""


class _Durations:
    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.total, self.buckets = 0.0, [0] * len(BOUNDS)


class _Counts:
    """What one process has counted, and its files once they are open; the lock is held for every use.

    The lock may be taken twice by one thread: the garbage collector may close these counts in the midst of a write
    of the same thread's, and that write then ends them.
    """

    def __init__(self, folder: Path) -> None:
        self.lock, self.waiting = threading.RLock(), threading.Event()
        self.fresh: deque[tuple[str, int, float]] = deque()
        self.requests: dict[tuple[str, int], int] = {}
        self.durations: dict[str, _Durations] = {}
        self.unwritten: set[tuple[str, int]] = set()
        self.files: PrometheusFiles | None = None
        self.writer: threading.Thread | None = None
        self.refused = False
        self.ended = threading.Event()
        self._folder, self._pid, self._writing = folder, os.getpid(), False

    def opened(self) -> "PrometheusFiles":
        if self.files is None:
            from settings.status.prometheus_files import PrometheusFiles  # late, see WRITE_AFTER_SECONDS

            self.files = PrometheusFiles(self._folder)
        return self.files

    def count(self) -> None:
        while self.fresh:
            endpoint, status, seconds = self.fresh.popleft()
            durations = self.durations.get(endpoint) or self.durations.setdefault(endpoint, _Durations())
            durations.total += seconds
            durations.buckets[bisect.bisect_left(SECONDS_BUCKETS, seconds)] += 1
            key = endpoint, status
            self.requests[key] = self.requests.get(key, 0) + 1
            self.unwritten.add(key)

    def write(self) -> None:
        if self.ended.is_set():
            return
        self._writing = True
        try:
            self.count()
            self._write(self.opened())
        finally:
            self._writing = False
            if self.ended.is_set() and self.files is not None:
                self.files.close()

    def _write(self, files: "PrometheusFiles") -> None:
        while self.unwritten:
            endpoint, status = self.unwritten.pop()
            durations = self.durations[endpoint]
            files.requests(endpoint, status, self.requests[endpoint, status])
            files.durations(endpoint, durations.total, list(zip(BOUNDS, durations.buckets, strict=True)))

    def close(self) -> None:
        """Write what is left, once; a child that was forked leaves the numbers in its parent's file alone."""
        with self.lock:
            if not self._writing and self.files is not None and not self.ended.is_set():
                if self._pid == os.getpid():
                    self.write()
                self.files.close()
            self.ended.set()
        self.waiting.set()


class Tally:
    """Counts requests in memory, and each second in the files of this process; thread-safe.

    A forked child counts from zero in files of its own. Files of a process that ended stay, since counters
    must not go back; they go when the next server of this name starts.

    Args:
        folder: Shared by the processes of one server.
        write_after_seconds: Seconds from a count to the file.
    """

    def __init__(self, folder: Path, *, write_after_seconds: float = WRITE_AFTER_SECONDS) -> None:
        self.folder, self._write_after = folder, write_after_seconds
        self._counts = self._begin()
        watch_forks(self)

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request, together with others or at the next write."""
        counts = self._counts
        counts.fresh.append((endpoint, status, seconds))
        if len(counts.fresh) >= MOST_FRESH:
            with counts.lock:
                counts.count()
        if counts.writer is None:
            self._begin_to_write(counts)
        if not counts.waiting.is_set():
            counts.waiting.set()

    def open(self) -> None:
        """Open the files, which imports the library: by one thread at a time, since its modules import each other.

        Raises:
            OSError: The files cannot be made.
        """
        with self._counts.lock:
            self._counts.opened()

    def put(self, name: str, help_text: str, labels: Mapping[str, str], value: float) -> None:
        """Set a counter to what this process has counted since it began; what waits is written too."""
        counts = self._counts
        with counts.lock:
            if not counts.ended.is_set():
                counts.opened().counter(name, help_text, labels, value)
                counts.write()

    def close(self) -> None:
        """Write what is left where there are files, and end the thread; nothing is written or made later."""
        self._counts.close()

    def before_fork(self) -> None:
        """Take the lock."""
        self._counts.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._counts.lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero, in new files; the parent's counts are closed here too, at the end, and need a free lock."""
        self._counts.lock = threading.RLock()
        self._counts = self._begin()

    def _begin_to_write(self, counts: _Counts) -> None:
        with counts.lock:
            refused = self._start_writer(counts) if counts.writer is None else None
            first, counts.refused = refused is not None and not counts.refused, refused is not None
        if first:
            log.warning("%s", line(diagnose("status-no-thread", what="status-metrics", error=refused)))

    def _start_writer(self, counts: _Counts) -> RuntimeError | None:
        """Start the thread that writes; return what the system said when there can be none."""
        writer = threading.Thread(
            target=_keep_writing, args=(counts, self._write_after), name="status-metrics", daemon=True
        )
        try:
            writer.start()
        except RuntimeError as error:
            return error
        counts.writer = writer
        return None

    def _begin(self) -> _Counts:
        counts = _Counts(self.folder)
        weakref.finalize(self, counts.close)
        return counts


def _keep_writing(counts: _Counts, after_seconds: float) -> None:
    failed = False
    while counts.waiting.wait() and not counts.ended.wait(after_seconds):
        counts.waiting.clear()
        try:
            with counts.lock:
                counts.write()
        except Exception as error:  # noqa: BLE001 - whatever it is, what is counted later must be written again
            level = logging.DEBUG if failed else logging.WARNING
            log.log(level, "%s", line(diagnose("metrics-unavailable", error=error)))
            failed = True


def server_folder(app_name: str, *, parent: Path | None = None) -> Path:
    """Return the folder that all processes of this server share, and delete those of servers that are gone.

    A server is a process group: a master and its workers have one in common, whoever imports the application.
    """
    parent = parent or Path(tempfile.gettempdir())
    safe = "".join(each if each.isalnum() else "_" for each in f"{app_name}_{socket.gethostname()}")
    prefix = f"twelvefactor_{os.getuid()}_{safe}-"
    group = os.getpgid(0)
    _delete_gone(parent.glob(f"{prefix}*"), prefix)
    started = _started(group)
    # The script that started a server in its own group may be gone, and those that began before know when it began.
    known = [] if started else sorted(parent.glob(f"{prefix}{group}-?*"))
    return known[0] if known else parent / f"{prefix}{group}-{started}"


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
