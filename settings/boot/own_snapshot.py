"""This process's row among the snapshots: written while it serves, taken back when it ends."""

import os
from typing import TYPE_CHECKING

from settings.probe import HealthStatus

if TYPE_CHECKING:
    from settings.boot.services import Services


LAST_WORDS_SECONDS = 0.3
"""A process that ends asks its database once more for so long, and leaves its row to the cleanup otherwise.

Where the last look at it found no answer, it is not asked at all: a new connection would take longer than an end may.
"""


class OwnSnapshot:
    """Writes and deletes the row that other processes' pages read.

    Args:
        services: What is told of.
    """

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._written_by = 0

    def write(self) -> None:
        """Say how this process is; raises what the database raises."""
        services, name = self._services, self._services.process_name
        services.snapshots.write(name(), name.host, os.getpid(), services.status.snapshot_body())
        self._written_by = os.getpid()

    def write_if_serving(self) -> None:
        """Say it where others look for it, unless the database would make the caller wait."""
        if self._services.lifecycle.state == "serving" and self._database_answers():
            self.write()

    def forget(self) -> None:
        """Take back what this very process said, unless the database would make its end wait."""
        services = self._services
        if self._written_by != os.getpid() or not self._database_answers():
            return
        if services.database.ping(LAST_WORDS_SECONDS).status is not HealthStatus.UNHEALTHY:
            services.snapshots.forget(services.process_name(), LAST_WORDS_SECONDS)

    def _database_answers(self) -> bool:
        database = self._services.health.latest().get("database")
        return database is not None and database.status in (HealthStatus.HEALTHY, HealthStatus.FALLBACK)
