"""What the status pages read, gathered from the services."""

import time
from dataclasses import replace
from datetime import timedelta

from settings.boot.services import Services
from settings.example import rows
from settings.status.sources import StatusSources
from settings.workers.builtin import HEALTH
from settings.workers.jobs import JobStatus


def status_sources(services: Services) -> StatusSources:
    """Return all that the pages, the metrics and the terminal show of these services."""
    settings = services.settings
    started = time.time()
    return StatusSources(
        app_name=settings.app.name,
        environment=settings.app.env,
        services=services.health.check,
        shutting_down=lambda: services.lifecycle.shutting_down,
        jobs=lambda: [_at_rest(job, settings.workers.health_interval) for job in services.workers.jobs()],
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


def _at_rest(job: JobStatus, health_interval: float) -> JobStatus:
    """Return a job as a page should show it: the one that writes the snapshot is not always seen running."""
    if job.name != HEALTH or job.state != "running" or job.last_started is None:
        return job
    return replace(job, state="idle", next_run=job.last_started + timedelta(seconds=health_interval))
