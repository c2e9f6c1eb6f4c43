"""What people are told of a repeated error, whichever way it came."""

import logging
from typing import Any, NamedTuple

from settings.logs.bridge import text_of_record
from settings.logs.limiter import EXAMPLE_LENGTH, About
from settings.logs.masking import Masker, harmless, text_of


class Call(NamedTuple):
    """A call of `Logs.error` or `Logs.exception`, before loguru has made a record of it."""

    file: str
    line: int
    message: str
    error: BaseException | None


class Describer:
    """Makes the example of an error from one occurrence: a record of the standard library's or loguru's, or a call."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def __call__(self, occurrence: Any) -> About:  # noqa: ANN401 - loguru's Record exists only in its stub
        """Return example, place and level, masked and in one line."""
        call, level = _call_of(occurrence)
        message, where = call.message, f"{call.file}:{call.line}"
        if call.error is not None:
            message = f"{type(call.error).__name__}: {text_of(call.error)} ({message})"
            where = _raised(call.error) or where
        return About(harmless(self._masker(message))[:EXAMPLE_LENGTH], where, level)


def _call_of(occurrence: Any) -> tuple[Call, str]:  # noqa: ANN401 - as above
    if isinstance(occurrence, Call):
        return occurrence, "ERROR"
    if isinstance(occurrence, logging.LogRecord):
        error = occurrence.exc_info[1] if occurrence.exc_info else None
        text = text_of_record(occurrence)
        return Call(occurrence.pathname, occurrence.lineno, text, error), occurrence.levelname
    found, file = occurrence["exception"], occurrence["file"].path
    return Call(file, occurrence["line"], occurrence["message"], found and found.value), occurrence["level"].name


def _raised(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
