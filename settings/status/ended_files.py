"""The files of processes that ended, added up into one of each kind: their counts stay, their number does not.

A server that replaces its workers now and then (gunicorn's --max-requests) would otherwise fill the disk, and
each scrape would read more files than the one before.
"""

import fcntl
import json
import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from settings.status.diagnosis import diagnose, line

log = logging.getLogger(__name__)

KINDS = ("counter", "histogram")
LOCK, JOURNAL = "lock", "journal.json"
LOCK_SECONDS = 2.0
BYTES_AN_ENTRY = 4 + 8 + 16
"""Length of the key, padding at the most, value and time: what MmapedDict writes beside the key."""


@contextmanager
def alone(folder: Path, *, wait_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Keep every other reader and folder of these files out for the length of a with block.

    Raises:
        OSError: Another one has been in for longer than that.
    """
    with (folder / LOCK).open("a") as file:
        _acquire(file.fileno(), time.monotonic() + wait_seconds)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # by name: a child that was forked meanwhile has the file open too


def _acquire(lock: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def fold(folder: Path) -> None:
    """Add the files of processes that ended to those of the ones before, and delete them; call it `alone`.

    A process that is killed in the midst of it loses nothing and counts nothing twice: what is decided lies in a
    journal, in one step, and whoever comes next carries it out.
    """
    _carry_out(folder)
    ended = [path for path in folder.iterdir() if _has_ended(path)]
    if not ended:
        return
    try:
        for kind in KINDS:
            _add_up(folder, kind, [path for path in ended if path.suffix == ".db" and path.name.startswith(f"{kind}_")])
        _decide(folder, ended)
    except OSError as error:  # a full disk: the files count as well where they are
        log.warning("%s", line(diagnose("metrics-files-kept", error=error)))
    else:
        _carry_out(folder)


def sound(paths: Iterable[Path]) -> list[Path]:
    """Return the files that can be read; others are set aside, aloud, so that they do not take all counts with them.

    Raises:
        OSError: One cannot be opened or set aside.
    """
    return [path for path in paths if _is_sound(path)]


def _is_sound(path: Path) -> bool:
    try:
        MultiProcessCollector.merge([str(path)])  # type: ignore[no-untyped-call] # as above
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - what the library makes of bytes that it did not write may be anything
        path.rename(path.with_suffix(".damaged"))
        log.warning("%s", line(diagnose("metrics-file-damaged", file=path, error=error)))
        return False
    return True


def _decide(folder: Path, ended: Iterable[Path]) -> None:
    draft = folder / f"{JOURNAL}.draft"
    draft.write_text(json.dumps([path.name for path in ended]))
    draft.rename(folder / JOURNAL)


def _carry_out(folder: Path) -> None:
    journal = folder / JOURNAL
    if not journal.exists():
        return
    for kind in KINDS:
        if (sums := folder / f"{kind}_ended.sums").exists():
            sums.rename(sums.with_suffix(".db"))
    for name in json.loads(journal.read_text()):
        (folder / name).unlink(missing_ok=True)
    journal.unlink()


def _add_up(folder: Path, kind: str, paths: Iterable[Path]) -> None:
    sums: defaultdict[str, float] = defaultdict(float)
    before = folder / f"{kind}_ended.db"
    for path in sound([*([before] if before.exists() else []), *paths]):
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call] # the library annotates in part
            sums[key] += value
    fresh = folder / f"{kind}_ended.sums"
    fresh.unlink(missing_ok=True)  # of one that was killed before its journal
    allocate(fresh, sum(len(key.encode()) + BYTES_AN_ENTRY for key in sums) + BYTES_AN_ENTRY)
    writer = MmapedDict(str(fresh))  # type: ignore[no-untyped-call] # as above
    for key, value in sums.items():
        writer.write_value(key, value, 0.0)  # type: ignore[no-untyped-call] # as above
    writer.close()  # type: ignore[no-untyped-call] # as above


def allocate(path: Path, size: int) -> None:
    """Make a file whose room is really there: writing to a mapped file on a full disk would kill the process."""
    with path.open("xb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _has_ended(path: Path) -> bool:
    """Say whether a file is a process's, whole (.db) or begun (.new), and that process is gone."""
    pid = path.name.partition("_")[2].partition("-")[0]
    if path.suffix not in (".db", ".new") or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
