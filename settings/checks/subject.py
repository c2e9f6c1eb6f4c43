"""What the checks look at: the rooms that could be built, what was given, and what the platform says."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from settings.database.model import DatabaseSettings
from settings.database.url import DatabaseConfig, DatabaseURLParser
from settings.problems import Problem, Severity
from settings.room import RoomSettings
from settings.sources import Sources

M = TypeVar("M", bound=RoomSettings)
LIVE = ("staging", "production")


class Subject(NamedTuple):
    """All that a check may ask.

    Attributes:
        models: The rooms; a wrong value is at its default.
        sources: What was given.
        failed: Variables whose value is wrong already: nothing more is said of them.
    """

    models: Mapping[str, RoomSettings]
    sources: Sources
    failed: frozenset[str]

    @property
    def environment(self) -> str:
        """The environment whose defaults are used."""
        return self.sources.environment

    @property
    def live(self) -> bool:
        """Whether this is staging or production."""
        return self.environment in LIVE

    def room(self, kind: type[M]) -> M:
        """Return one of our rooms."""
        return next(each for each in self.models.values() if isinstance(each, kind))

    def is_set(self, variable: str) -> bool:
        """Say whether a variable is set in any source."""
        return self.sources.value(variable) is not None

    def database(self, variable: str) -> DatabaseConfig | None:
        """Return the parts of DATABASE_URL or DATABASE_FALLBACK_URL, or None when it is wrong or not set."""
        room = self.room(DatabaseSettings)
        url = room.url if variable == "DATABASE_URL" else room.fallback_url
        return None if url is None or variable in self.failed else DatabaseURLParser.parse_url(url.get_secret_value())

    def problem(self, variable: str, severity: Severity, code: str, message: str, fix: str) -> Problem:
        """Return a problem with the variable's own origin."""
        value = self.sources.value(variable)
        return Problem(variable, severity, code, message, fix, value.origin if value else "default")
