"""What the status pages read, gathered from the services."""

import time

from settings.boot.services import Services
from settings.example import rows
from settings.status.sources import StatusSources


def status_sources(services: Services) -> StatusSources:
    """Return all that the pages, the metrics and the terminal show of these services."""
    settings = services.settings
    started = time.time()
    return StatusSources(
        app_name=settings.app.name,
        environment=settings.app.env,
        services=services.health.check,
        shutting_down=lambda: services.lifecycle.shutting_down,
        jobs=services.workers.jobs,
        repeated_errors=services.logs.repeated,
        error_figures=services.logs.figures,
        alerts=services.alerts,
        run_history=services.claims.history,
        snapshots=services.snapshots.read,
        snapshot_seconds=settings.workers.health_interval,
        boot=services.report.rows,
        settings=lambda: rows(settings),
        process=services.process_name,
        started_at=lambda: started,
    )
