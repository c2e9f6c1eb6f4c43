"""Where lines go: a stream, a file. One that cannot be written to is said once and counted, and never raises."""

import os
import select
import stat
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock, get_ident
from typing import Protocol, TextIO

from settings.logs.diagnosis import DESTINATION, explained

_FORK_SECONDS = 1.0
PATIENCE_SECONDS = 1.0


def last_resort(words: str) -> None:
    """Say on standard error what the log itself cannot say; where that is gone too, only the counts tell."""
    with suppress(OSError, ValueError):
        stderr = sys.stderr
        if stderr is not None and ((pipe := _pipe_of(stderr)) is None or _takes_more(pipe, PATIENCE_SECONDS)):
            print(f"log: {words}", file=sys.stderr, flush=True)  # noqa: T201 - as above


class Destination(Protocol):
    """Takes lines."""

    name: str

    def write(self, text: str) -> None:
        """Write `text` now.

        Raises:
            OSError: It cannot be written.
            ValueError: The stream was closed.
        """

    def close(self) -> None:
        """Give back what was opened."""


class Stream:
    """A stream that belongs to somebody else; it is flushed after each record.

    A pipe or socket that is full because nobody reads it holds up the first line for `patience`, and no further one
    before somebody reads again. A terminal may be stopped by who sits there, and is waited for.

    Args:
        stream: The stream; None is whatever sys.stdout is when a line is written.
        patience: Seconds for which a full pipe is waited for.
    """

    def __init__(self, stream: TextIO | None, patience: float = PATIENCE_SECONDS) -> None:
        self._stream, self._patience = stream, patience
        self._stalled = self._torn = False
        self.name = "standard error" if stream is sys.stderr else "standard output"

    def write(self, text: str) -> None:
        """Write and flush; what the stream's encoding does not have is written as an escape."""
        stream = sys.stdout if self._stream is None else self._stream
        if stream is None:
            raise OSError("the stream is closed")  # as a process has it that was started with >&-
        if (pipe := _pipe_of(stream)) is None:
            return _put(stream, text)
        pieces = _pieces("\n" * self._torn + text)
        for number, piece in enumerate(pieces, start=1):
            if not _takes_more(pipe, 0 if self._stalled else self._patience):
                self._stalled = True
                raise TimeoutError("it is full, and nobody reads it")
            self._stalled = False
            _put(stream, piece)
            self._torn = number < len(pieces)
        return None

    def close(self) -> None:
        """Leave the stream open."""


def _put(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _pipe_of(stream: TextIO) -> int | None:
    """Return the descriptor of a stream that is a pipe or socket; None of any other.

    A stream without a descriptor says so in many ways. One that is closed or broken is no pipe to wait for either: to
    write to it raises what is wrong with it, and that is reported.
    """
    try:
        number = stream.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, ValueError, AttributeError, NotImplementedError):
        return None
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _pieces(text: str) -> list[str]:
    """Return a text in pieces that a pipe takes without waiting when it takes anything."""
    if len(text) * 4 <= select.PIPE_BUF or (text.isascii() and len(text) <= select.PIPE_BUF):
        return [text]
    size = select.PIPE_BUF // 4  # a letter has four bytes at the most
    return [text[begin : begin + size] for begin in range(0, len(text), size)]


def _takes_more(pipe: int, seconds: float) -> bool:
    if (make := getattr(select, "poll", None)) is None:
        return True  # eventlet takes poll away
    poll = make()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


class LogFile:
    """A file that is appended to by one system call a record, so that the lines of many processes do not mingle.

    It is opened anew when what its path names is another file than before: logrotate has moved it.
    """

    def __init__(self, path: Path) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow a link that logrotate may change
        self.name = self._path
        self._file = -1
        self._identity: tuple[int, int] | None = None
        self._torn = False

    def write(self, text: str) -> None:
        """Append; a line that was cut short by a full disk is ended first."""
        self._reopen_when_moved()
        data = ("\n" * self._torn + text).encode("utf-8", "backslashreplace")
        while data:
            written = os.write(self._file, data)
            self._torn = written < len(data)
            data = data[written:]

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file, self._identity = -1, None

    def _reopen_when_moved(self) -> None:
        try:
            now = Path(self._path).stat()
        except FileNotFoundError:
            self.close()
        else:
            if (now.st_dev, now.st_ino) != self._identity:
                self.close()
        if self._file < 0:
            self._open()

    def _open(self) -> None:
        # O_NONBLOCK: a named pipe that nobody reads must not stop the service.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(self._path, flags, 0o640)
        opened = os.fstat(self._file)
        self._identity, self._torn = (opened.st_dev, opened.st_ino), False


class Output:
    """All destinations. Thread-safe; a signal handler or finalizer may write while it interrupts a write.

    Who makes it lets it watch forks, last: anything may log while it holds a lock of its own.

    Attributes:
        failures: Lines that could not be written, by the name of the destination.
        failing: Why, for those whose last line could not be written.
    """

    _writer: int
    _done: int

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self.destinations = tuple(destinations)
        self.failures: dict[str, int] = {}
        self.failing: dict[str, str] = {}
        self._said: set[str] = set()
        self._lines: deque[str] = deque()
        self._fresh()

    @property
    def unheard(self) -> bool:
        """Whether no destination took the last line."""
        return len(self.failing) == len(self.destinations)

    def write(self, text: str) -> None:
        """Write to every destination; a failure of one is counted, and said once on standard error."""
        self._lines.append(text)
        if self._writer != get_ident():  # else this call interrupts a write, which goes on with what was added
            self._write_all()

    def close(self) -> None:
        """Write what an exception out of a signal handler has left, and close every destination."""
        self._write_all()
        with self._lock:
            for destination in self.destinations:
                destination.close()

    def _write_all(self) -> None:
        with self._lock:
            while self._lines:  # once more: one may have come just before the writer was forgotten
                self._writer = get_ident()
                try:
                    while self._lines:  # and these may be written: by a signal handler, since the lock was taken
                        self._write_first()
                finally:
                    self._writer = 0

    def _write_first(self) -> None:
        """Write the first line where it is not written yet: a signal handler may have ended an earlier try."""
        while self._done < len(self.destinations):
            self._to(self.destinations[self._done], self._lines[0])
            self._done += 1
        self._done = 0
        self._lines.popleft()

    def _to(self, destination: Destination, text: str) -> None:
        try:
            destination.write(text)
        except Exception as error:  # noqa: BLE001 - a stream may be anybody's, and raise anything
            self._failed(destination.name, error)
        else:
            self.failing.pop(destination.name, None)

    def _failed(self, name: str, error: Exception) -> None:
        self.failures[name] = self.failures.get(name, 0) + 1
        self.failing[name] = str(error)
        if name not in self._said:
            self._said.add(name)
            last_resort(explained(DESTINATION, target=name, error=error))

    def _fresh(self) -> None:
        self._lock, self._held = RLock(), False
        self._writer = self._done = 0

    def before_fork(self) -> None:
        """Take the lock, so that the child has no half of a line; but not from one who is stuck in a write."""
        self._held = self._lock.acquire(timeout=_FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        if self._held:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Count from zero; the lines that wait are the parent's."""
        self._lines.clear()
        self.failures, self.failing = {}, {}
        self._fresh()
