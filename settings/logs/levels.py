"""Which level is shown for which logger, for loguru and the standard library alike."""

import logging
from collections.abc import Mapping

from settings.logs.diagnosis import UNKNOWN_LEVEL, explained

NUMBERS: Mapping[str, int] = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "SUCCESS": 25,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
}
ERROR, CRITICAL = NUMBERS["ERROR"], NUMBERS["CRITICAL"]
QUIET: Mapping[str, str] = {
    "alembic.runtime.plugins": "WARNING",
    "alembic.runtime.migration": "WARNING",
    "redis": "INFO",
}
"""Loggers that are chatty at INFO while our own lines say the same; LOG_LEVELS overrules."""


def number_of(level: str) -> int:
    """Return the number of a level.

    Raises:
        ValueError: There is no level of that name.
    """
    if (found := NUMBERS.get(str(level).upper())) is None:
        raise ValueError(explained(UNKNOWN_LEVEL, error=level))
    return found


class Levels:
    """The lowest level that is shown, and those of single loggers with everything below their names.

    The standard library's loggers are told, so that what is not shown costs nothing there.

    Args:
        base: Name of the lowest level.
        by_name: Levels of single loggers: a stdlib logger's name, or a module's for loguru.

    Attributes:
        base: Number of the lowest level.
        by_name: Numbers of the levels of single loggers.
        all_from: The number from which everything is shown, of every logger.
    """

    def __init__(self, base: str, by_name: Mapping[str, str]) -> None:
        self._before: dict[str, int] = {}
        self.by_name: dict[str, int] = {}
        self.base = self.all_from = 0
        self.set(base)
        for name, level in by_name.items():
            self.set(level, name)

    @property
    def lowest(self) -> int:
        """The number below which nothing is shown, of any logger."""
        return min([self.base, *self.by_name.values()])

    def set(self, level: str, logger: str | None = None) -> None:
        """Set the lowest level, or that of one logger and all below it.

        Raises:
            ValueError: There is no such level.
        """
        number, name = number_of(level), logger or ""
        if name:
            self.by_name = {**self.by_name, name: number}
        else:
            self.base = number
        self.all_from = max([self.base, *self.by_name.values()])
        known = logging.getLogger(name)
        self._before.setdefault(name, known.level)
        known.setLevel(number)

    def of(self, name: str | None) -> int:
        """Return the number of the lowest level that is shown of the logger of that name."""
        by_name, prefix = self.by_name, (name or "") if self.by_name else ""
        while prefix:
            if (found := by_name.get(prefix)) is not None:
                return found
            prefix = prefix.rpartition(".")[0]
        return self.base

    def restore(self) -> None:
        """Give the standard library's loggers the levels they had."""
        while self._before:
            name, level = self._before.popitem()
            logging.getLogger(name).setLevel(level)
