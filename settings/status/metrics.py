"""/metrics in Prometheus' text format: counters of all processes by their files, gauges by their snapshots."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING

from settings.status.diagnosis import diagnose, line
from settings.status.merge import Process, own_snapshot, processes_of
from settings.status.rows import Service
from settings.status.sources import StatusSources
from settings.status.tally import Tally, server_folder
from settings.status.view import OPEN, SEVERITIES, View

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTED_FACTS = {
    ("cache", "hits"): ("twelvefactor_cache_hits", "Values that the cache had."),
    ("cache", "misses"): ("twelvefactor_cache_misses", "Values that the cache did not have."),
    ("cache", "outages"): ("twelvefactor_cache_outages", "Times that Redis was given up for a while."),
    ("cache", "served_locally"): ("twelvefactor_cache_served_locally", "Operations done without Redis meanwhile."),
    ("websocket", "sent"): ("twelvefactor_websocket_events_sent", "Events handed to the gateway."),
    ("websocket", "dropped"): ("twelvefactor_websocket_events_dropped", "Events lost."),
    ("websocket", "received"): ("twelvefactor_websocket_events_received", "Events that came from the gateway."),
}
"""Facts of a service that only grow while a process lives."""
MEASURED_FACTS = {
    ("database", "pool_size"): ("twelvefactor_database_pool_size_connections", "Connections that the pools keep."),
    ("database", "pool_in_use"): ("twelvefactor_database_pool_in_use_connections", "Connections in use."),
    ("database", "pool_overflow"): ("twelvefactor_database_pool_overflow_connections", "Connections beyond the pools."),
    ("cache", "pool_in_use"): ("twelvefactor_redis_pool_in_use_connections", "Connections to Redis in use."),
    ("cache", "local_entries"): ("twelvefactor_cache_local_entries", "Entries of the in-process caches."),
    ("websocket", "queued"): ("twelvefactor_websocket_queued_events", "Events that wait for a connection."),
}
"""Facts that go up and down, added up over the processes."""
STATES = {
    ("cache", "mode"): ("twelvefactor_cache_mode_processes", "mode"),
    ("websocket", "state"): ("twelvefactor_websocket_state_processes", "state"),
}
"""Facts that are a word: how many processes say which."""
ERRORS = {
    "seen": ("twelvefactor_errors_seen", "Errors that came to the log."),
    "suppressed": ("twelvefactor_errors_suppressed", "Repeated errors that were counted instead of logged."),
}


class Metrics:
    """Counts requests as they come and answers a scrape.

    Args:
        tally: Where this process counts.
        sources: What the other rooms count.
    """

    def __init__(self, tally: Tally, sources: StatusSources) -> None:
        self._tally, self._sources = tally, sources
        self._failed = False

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._tally.observe(endpoint, status, seconds)

    def close(self) -> None:
        """Write what is left, and nothing later."""
        self._tally.close()

    def carry(self) -> None:
        """Write the counters that other rooms keep of this process into its file; called with each snapshot."""
        (own,) = processes_of(own_snapshot(self._sources, time.time()), ())
        try:
            self._carry(own)
        except OSError as error:
            log.warning("%s", line(diagnose("metrics-unavailable", error=error)))

    def _carry(self, own: Process) -> None:
        for service in own.services:
            for name, value in service.facts.items():
                if (known := COUNTED_FACTS.get((service.name, name))) and isinstance(value, int | float):
                    self._tally.put(*known, {}, value)
        for name, known in ERRORS.items():
            self._tally.put(*known, {}, float(own.figures.get(name) or 0))
        for job in own.jobs:
            labels = {"job": job.name}
            self._tally.put("twelvefactor_worker_runs", "Runs of a job that began.", labels, job.runs)
            self._tally.put("twelvefactor_worker_failures", "Runs of a job that failed.", labels, job.failures)

    def page(self, view: View) -> str:
        """Return the text of a scrape.

        Raises:
            OSError: The files of the counters cannot be made.
        """
        self._tally.open()
        from prometheus_client import CollectorRegistry, generate_latest

        from settings.status.prometheus_files import ServerCollector

        own = next((each for each in view.processes if each.here), None)
        if own is not None:
            self._carry(own)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(ServerCollector(self._tally.folder))
        registry.register(_Gauges(view))
        return generate_latest(registry).decode()


class _Gauges:
    """What is the case now, over all processes."""

    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> "Iterator[GaugeMetricFamily]":
        """Yield each gauge with its samples."""
        view = self._view
        hosts = [(each.host,) for each in view.processes]
        yield _counted("twelvefactor_processes", "Serving processes.", ("host",), hosts)
        states = [(each.name, each.status) for process in view.processes for each in process.services]
        help_text = "Processes that see a service in a state."
        yield _counted("twelvefactor_service_processes", help_text, ("service", "status"), states)
        yield self._latencies()
        yield from self._tables()
        yield from self._measured()
        yield from self._words()
        yield from self._jobs()

    def _latencies(self) -> "GaugeMetricFamily":
        family = _gauge(
            "twelvefactor_service_latency_seconds", "The last answer's duration, the slowest process's.", ("service",)
        )
        for each in self._view.services:
            known = [row.latency_ms for row in _rows(self._view.processes, each.row.name) if row.latency_ms is not None]
            if known:
                family.add_metric([each.row.name], max(known) / 1000)
        return family

    def _tables(self) -> "Iterator[GaugeMetricFamily]":
        """Yield what lies in the database, and how old the word of it is: nothing before it was read once."""
        if (read_at := self._view.stored_at) is None:
            return
        read = _gauge("twelvefactor_tables_read_timestamp_seconds", "When alerts, runs and processes were read.", ())
        read.add_metric([], read_at)
        yield read
        found = Counter((each.severity, each.status) for each in self._view.alerts)
        alerts = _gauge("twelvefactor_open_alerts", "Alerts that are not resolved.", ("severity", "status"))
        for labels in sorted({*product(SEVERITIES, OPEN), *found}):
            alerts.add_metric(labels, found[labels])
        yield alerts

    def _measured(self) -> "Iterator[GaugeMetricFamily]":
        for (service, fact), (name, help_text) in MEASURED_FACTS.items():
            values = [row.facts.get(fact) for row in _rows(self._view.processes, service)]
            numbers = [value for value in values if isinstance(value, int | float)]
            if numbers:
                family = _gauge(name, help_text, ())
                family.add_metric([], sum(numbers))
                yield family

    def _words(self) -> "Iterator[GaugeMetricFamily]":
        for (service, fact), (name, label) in STATES.items():
            found = [(str(row.facts[fact]),) for row in _rows(self._view.processes, service) if fact in row.facts]
            yield _counted(name, f"Processes by {label} of the {service}.", (label,), found)

    def _jobs(self) -> "Iterator[GaugeMetricFamily]":
        last = _gauge("twelvefactor_worker_last_run_timestamp_seconds", "When a job began last.", ("job",))
        took = _gauge("twelvefactor_worker_last_duration_seconds", "How long its last run took.", ("job",))
        for job in self._view.jobs:
            if job.last_run is not None:
                last.add_metric([job.name], job.last_run)
            if job.duration_seconds is not None:
                took.add_metric([job.name], job.duration_seconds)
        yield last
        yield took


def _rows(processes: Sequence[Process], service: str) -> list[Service]:
    return [row for process in processes for row in process.services if row.name == service]


def _gauge(name: str, help_text: str, labels: Sequence[str]) -> "GaugeMetricFamily":
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, help_text, labels=labels)


def _counted(name: str, help_text: str, labels: Sequence[str], found: Sequence[tuple[str, ...]]) -> "GaugeMetricFamily":
    family = _gauge(name, help_text, labels)
    for values, count in Counter(found).items():
        family.add_metric(values, count)
    return family


def open_metrics(sources: StatusSources) -> Metrics | None:
    """Return the metrics, or None without the `metrics` extra."""
    if find_spec("prometheus_client") is None:
        return None
    return Metrics(Tally(server_folder(sources.app_name)), sources)
