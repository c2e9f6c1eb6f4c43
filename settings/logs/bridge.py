"""From the standard library's logging to loguru; repeated errors are refused before loguru builds anything."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

from loguru import logger

from settings.logs.diagnosis import UNREADABLE, explained
from settings.logs.fingerprint import Fingerprints, own_fingerprint
from settings.logs.late import mask_handler, unmask_handler
from settings.logs.levels import CRITICAL, NUMBERS, Levels
from settings.logs.masking import text_of

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "fingerprint", "taskName"}


class Bridge(logging.Handler):
    """The one handler of the root logger: hands to loguru what is not held back; the sink does not decide again.

    Args:
        limit_from: Number of the level from which repeated records are held back; CRITICAL never is.
        levels: The lowest levels that are shown: a library may have given its logger a lower one of its own.
        fingerprints: Makes the fingerprint of a record; those it has kept are read without a call.
        should_log: Counts a fingerprint, and says whether the record passes.
    """

    def __init__(
        self,
        limit_from: int,
        levels: Levels,
        fingerprints: Fingerprints,
        should_log: Callable[[str, object], bool],
    ) -> None:
        super().__init__(level=0)
        self._limit_from, self._levels, self._should_log = limit_from, levels, should_log
        self._fingerprint, self._kept = fingerprints.of, fingerprints.kept

    def handle(self, record: logging.LogRecord) -> bool:
        """Decide before anything is built, and then hand over; loguru has locks of its own."""
        if record.levelno < self._levels.all_from and record.levelno < self._levels.of(record.name):
            return False
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - the standard library prints a traceback, and the line is lost
            message = _with_arguments(record, error)
        fingerprint = ""
        if self._limit_from <= record.levelno < CRITICAL:
            file, line, raised = record.pathname, record.lineno, record.exc_info
            own = getattr(record, "fingerprint", None)
            fingerprint = (
                (own and own_fingerprint(own))
                or (not raised and self._kept.get((file, line, message)))
                or self._fingerprint(file, line, message, raised[1] if raised else None)
            )
            if not self._should_log(fingerprint, record):
                return False
        hand_over(record, message, fingerprint)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over a record that something else gave to this handler directly."""
        self.handle(record)


def text_of_record(record: logging.LogRecord) -> str:
    """Return the text of a record; one whose arguments do not fit is shown with them."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - as in Bridge.handle
        return _with_arguments(record, error)


def _with_arguments(record: logging.LogRecord, error: Exception) -> str:
    why = explained(UNREADABLE, error=f"{type(error).__name__}: {error}")
    return f"{text_of(record.msg)!r} with the arguments {text_of(record.args)}: {why}"


def hand_over(record: logging.LogRecord, message: str, fingerprint: str) -> None:
    """Log a stdlib record through loguru, as if it had been logged there."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if record.stack_info:
        extra["stack"] = record.stack_info

    def as_it_was(found: Any) -> None:  # noqa: ANN401 - loguru's record is a dictionary of its own types
        path = PurePath(record.pathname)
        found["extra"].update(extra)
        found["file"].name, found["file"].path = path.name, record.pathname
        found.update(name=record.name, function=record.funcName or "", line=record.lineno, module=path.stem,
                     fingerprint=fingerprint, decided=True)  # fmt: skip

    known = NUMBERS.get(record.levelname) == record.levelno
    level = record.levelname if known else max(0, record.levelno)
    exception = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
    logger.patch(as_it_was).opt(exception=exception).log(level, message)


def writes_to_console(handler: logging.Handler) -> bool:
    """Say whether a handler writes to standard output or error, where the sink writes too."""
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return False
    if handler is getattr(sys.modules.get("flask.logging"), "default_handler", None):
        return True
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return any(handler.stream is stream for stream in streams if stream is not None)


def _every_logger() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    yield from (each for each in list(logging.root.manager.loggerDict.values()) if isinstance(each, logging.Logger))


class Takeover:
    """Lets every stdlib logger end at a bridge, and can give all of it back.

    A handler that writes to the console goes: the sink does that now. Others stay (a file, an error tracker).
    A logger that kept its records to itself passes them on when no handler of its own is left (gunicorn).
    """

    def __init__(self) -> None:
        self._bridge: Bridge | None = None
        self._before: list[tuple[logging.Logger, logging.Handler]] = []
        self._quiet: list[logging.Logger] = []

    def install(self, bridge: Bridge, masker: Callable[[str], str]) -> None:
        """Let all loggers that there are end at `bridge`, and no more at an earlier one.

        Args:
            bridge: Takes the records.
            masker: For the standard library's last resort, which prints what finds no handler, now and later.
        """
        for each in _every_logger():
            self.take(each)
        root = logging.getLogger()
        if self._bridge in root.handlers:
            root.handlers[root.handlers.index(self._bridge)] = bridge  # in one step: a record meets one of them
        else:
            root.addHandler(bridge)
        self._bridge = bridge
        if logging.lastResort is not None:
            mask_handler(logging.lastResort, masker)

    def take(self, named: logging.Logger) -> None:
        """Take over one logger."""
        for handler in list(named.handlers):
            if writes_to_console(handler):
                named.removeHandler(handler)
                unmask_handler(handler)
                self._before.append((named, handler))
        if not named.handlers and not named.propagate and any(named is each for each, _ in self._before):
            named.propagate = True
            self._quiet.append(named)

    def restore(self, masker: Callable[[str], str]) -> None:
        """Give back what was taken; late records hold the same secrets, and handlers on the console mask them."""
        if self._bridge is not None:
            logging.getLogger().removeHandler(self._bridge)
            self._bridge = None
        while self._before:
            named, handler = self._before.pop()
            mask_handler(handler, masker)
            named.addHandler(handler)
        while self._quiet:
            self._quiet.pop().propagate = False
