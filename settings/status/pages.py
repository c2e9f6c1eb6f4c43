"""The HTML of a view."""

from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from settings.status import words
from settings.status.access import Caller
from settings.status.view import View

TEMPLATES = Path(__file__).parent / "templates"
POLL_SECONDS = 2


class Pages:
    """Renders pages; autoescaping is always on, and nothing of the application's templates is in reach."""

    def status(self, view: View, caller: Caller, *, base: str, live: bool = False) -> str:
        """Return the page for people.

        Args:
            view: What it shows.
            caller: Whether there are buttons.
            base: Path of the page, without a slash at its end.
            live: Only the parts that change, for the page that polls.
        """
        template = self._templates.get_template("status.html")
        return template.render(view=view, caller=caller, base=base, live=live, poll_seconds=POLL_SECONDS)

    def sign_in(self, *, base: str, wrong: bool = False) -> str:
        """Return the page that asks for the token, after a wrong one with a word about it."""
        return self._templates.get_template("sign_in.html").render(base=base, wrong=wrong)

    def message(self, *, base: str, title: str, text: str) -> str:
        """Return a page that says one thing and leads back."""
        return self._templates.get_template("message.html").render(base=base, title=title, text=text)

    @cached_property
    def _templates(self) -> Environment:
        loader = FileSystemLoader(TEMPLATES)
        templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        named = ("span", "ago", "due", "utc", "clock", "iso", "took", "fact", "number", "spark_points", "spark_words")
        templates.filters |= {name: getattr(words, name) for name in named}
        return templates
