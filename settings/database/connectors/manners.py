"""What an engine does beyond its options, given to it by `create_engine` itself.

The options of one connector make the same engine wherever they are handed to `create_engine`: here, or by
Flask-SQLAlchemy, which takes options but no event listeners.
"""

import weakref
from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, Engine, StaticPool
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

from settings.forks import watch_forks

NAME = "twelvefactor"
Adorn = Callable[[Engine], None]


class Manners(CreateEnginePlugin):
    """Calls the function behind the option `twelvefactor` with each engine made with it, and lives with that engine.

    In a child of a fork the engine begins with an empty pool: what was in it is still the parent's. The one connection
    of a memory database stays, since the child has a copy of the memory.
    """

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        self._adorn: Adorn = kwargs.pop(NAME)
        self._engine: weakref.ref[Engine] | None = None

    def update_url(self, url: URL) -> URL:
        """Return the URL as it is: the function came as an option, not in the URL."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Let the connector add its listeners, and stay."""
        self._adorn(engine)
        self._engine = weakref.ref(engine)
        setattr(engine, NAME, self)  # whoever watches forks holds this weakly
        watch_forks(self)

    def before_fork(self) -> None:
        """Let what runs go on."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Forget the parent's connections without closing them."""
        engine = None if self._engine is None else self._engine()
        if engine is not None and not isinstance(engine.pool, StaticPool):
            engine.dispose(close=False)


def with_manners(options: dict[str, Any], adorn: Adorn) -> dict[str, Any]:
    """Return options of `create_engine` that have `adorn` called with the engine."""
    plugins.register(NAME, __name__, Manners.__name__)
    return {**options, "plugins": [NAME], NAME: adorn}
