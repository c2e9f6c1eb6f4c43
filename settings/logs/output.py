"""Where lines go: a stream, a file. One that cannot be written to is said once and counted, and never raises."""

import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import get_ident
from typing import Protocol, TextIO

from settings.logs.diagnosis import DESTINATION, explained


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

    Args:
        stream: The stream; None is whatever sys.stdout is when a line is written.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.name = "standard error" if stream is sys.stderr else "standard output"

    def write(self, text: str) -> None:
        """Write and flush; what the stream's encoding does not have is written as an escape."""
        stream = sys.stdout if self._stream is None else self._stream
        if stream is None:
            raise OSError("the stream is closed")  # as a process has it that was started with >&-
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()

    def close(self) -> None:
        """Leave the stream open."""


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
    """All destinations. Writing is for one thread at a time: loguru's lock sees to that.

    Attributes:
        failures: Lines that could not be written, by the name of the destination.
    """

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self.destinations = tuple(destinations)
        self.failures: dict[str, int] = {}
        self.failing: dict[str, str] = {}
        self._writer = 0
        self._late: deque[str] = deque()

    def keep_for_later(self, text: str) -> bool:
        """Take a line of a signal handler or finalizer that interrupted a write in this very thread; else say False."""
        if self._writer != get_ident():
            return False
        self._late.append(text)
        return True

    @property
    def interrupted(self) -> bool:
        """Whether this thread is in the middle of a write."""
        return self._writer == get_ident()

    def write(self, text: str) -> None:
        """Write to every destination; a failure of one is counted, and said once on standard error."""
        self._writer = get_ident()
        try:
            self._to_all(text)
            while self._late:
                self._to_all(self._late.popleft())
        finally:
            self._writer = 0

    def close(self) -> None:
        """Close every destination."""
        for destination in self.destinations:
            destination.close()

    def _to_all(self, text: str) -> None:
        for destination in self.destinations:
            try:
                destination.write(text)
            except (OSError, ValueError) as error:
                self._failed(destination.name, error)
            else:
                self.failing.pop(destination.name, None)

    def _failed(self, name: str, error: Exception) -> None:
        first = name not in self.failures
        self.failures[name] = self.failures.get(name, 0) + 1
        self.failing[name] = str(error)
        if first and sys.stderr is not None:
            try:
                words = explained(DESTINATION, target=name, error=error)
                print(f"log: {words}", file=sys.stderr, flush=True)  # noqa: T201 - the log itself cannot say it
            except (OSError, ValueError):
                return  # standard error is gone too; the count stays
