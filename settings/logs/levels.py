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
"""Loggers that are chatty at INFO while our own lines say the same.

They are shown from these levels up, or from the lowest one where that is higher; who gives one of them, or a logger
above it, a level of its own has that.
"""


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

    Args:
        base: Name of the lowest level.
        by_name: Levels of single loggers: a stdlib logger's name, or a module's for loguru.
        quiet: Levels that single loggers have at the least, where nothing else is said of them.

    Attributes:
        base: Number of the lowest level.
        by_name: Numbers of the levels of single loggers.
        all_from: The number from which everything is shown, of every logger.
    """

    def __init__(self, base: str, by_name: Mapping[str, str], quiet: Mapping[str, str] = QUIET) -> None:
        self._chosen = {name: number_of(level) for name, level in by_name.items()}
        self._quiet = {name: number_of(level) for name, level in quiet.items()}
        self.by_name: dict[str, int] = {}
        self.base = self.all_from = 0
        self.set(base)

    @property
    def lowest(self) -> int:
        """The number below which nothing is shown, of any logger."""
        return min([self.base, *self.by_name.values()])

    @property
    def numbers(self) -> Mapping[str, int]:
        """The numbers by name; the lowest level has the root logger's, which is empty."""
        return {"": self.base, **self.by_name}

    def set(self, level: str, logger: str | None = None) -> None:
        """Set the lowest level, or that of one logger and all below it.

        Raises:
            ValueError: There is no such level.
        """
        number = number_of(level)
        if logger:
            self._chosen[logger] = number
        else:
            self.base = number
        quiet = {name: max(each, self.base) for name, each in self._quiet.items() if not self._has_chosen(name)}
        self.by_name = {**quiet, **self._chosen}
        self.all_from = max([self.base, *self.by_name.values()])

    def _has_chosen(self, name: str) -> bool:
        return any(f"{name}.".startswith(f"{chosen}.") for chosen in self._chosen)

    def of(self, name: str | None) -> int:
        """Return the number of the lowest level that is shown of the logger of that name."""
        by_name, prefix = self.by_name, (name or "") if self.by_name else ""
        while prefix:
            if (found := by_name.get(prefix)) is not None:
                return found
            prefix = prefix.rpartition(".")[0]
        return self.base


class LibraryLevels:
    """The levels of the standard library's loggers, so that what is not shown costs nothing there."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def put(self, numbers: Mapping[str, int]) -> None:
        """Set these levels, by the names of loggers, and give all others that were set the ones they had."""
        for name, number in numbers.items():
            known = logging.getLogger(name)
            self._before.setdefault(name, known.level)
            known.setLevel(number)
        for name in self._before.keys() - numbers.keys():
            logging.getLogger(name).setLevel(self._before.pop(name))
