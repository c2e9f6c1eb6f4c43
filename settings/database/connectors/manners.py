"""What an engine does beyond its options, given to it by `create_engine` itself.

The options of one connector make the same engine wherever they are handed to `create_engine`: here, or by
Flask-SQLAlchemy, which takes options but no event listeners.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

NAME = "twelvefactor"
Adorn = Callable[[Engine], None]


class Manners(CreateEnginePlugin):
    """Calls the function behind the option `twelvefactor` with each engine made with it."""

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        self._adorn: Adorn = kwargs.pop(NAME)

    def update_url(self, url: URL) -> URL:
        """Return the URL as it is: the function came as an option, not in the URL."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Let the connector add its listeners."""
        self._adorn(engine)


def with_manners(options: dict[str, Any], adorn: Adorn) -> dict[str, Any]:
    """Return options of `create_engine` that have `adorn` called with the engine."""
    plugins.register(NAME, __name__, Manners.__name__)
    return {**options, "plugins": [NAME], NAME: adorn}
