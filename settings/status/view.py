"""What a page shows, gathered from the sources, and its HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from settings.status.rows import Service, read
from settings.status.sources import StatusSources
from settings.status.verdict import Verdict, verdict_of, worst

TEMPLATES = Path(__file__).parent / "templates"
HEADLINES: Mapping[Verdict, str] = {"pass": "All well", "warn": "Degraded", "fail": "Down"}


@dataclass(frozen=True, slots=True)
class View:
    """One moment of everything.

    Attributes:
        verdict: The worst of all services.
        headline: The verdict in words.
        at: The moment, in seconds since 1970.
    """

    app_name: str
    environment: str
    verdict: Verdict
    headline: str
    at: float
    services: tuple[Service, ...]


class Views:
    """Gathers views of the sources and renders them; autoescaping is always on."""

    def __init__(self, sources: StatusSources) -> None:
        self._sources = sources

    def gather(self) -> View:
        """Return how everything is now."""
        services = tuple(read(Service, each) for each in self._sources.services().values())
        verdict = worst(map(verdict_of, services))
        now = datetime.now(UTC).timestamp()
        return View(self._sources.app_name, self._sources.environment, verdict, HEADLINES[verdict], now, services)

    def page(self) -> str:
        """Return the page for people."""
        return self._templates.get_template("status.html").render(view=self.gather())

    @cached_property
    def _templates(self) -> Environment:
        """The page's own environment: an application's filters, globals and overrides stay out of it."""
        return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
