"""What a scrape says, read by Prometheus' own parser."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from settings.status.prometheus_files import ServerCollector
from settings.status.tally import Tally

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return the samples of a scrape, read by Prometheus' own parser."""
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def scrape(tally: Tally) -> Samples:
    """Return what a tally's folder holds."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(tally.folder))
    return samples(generate_latest(registry).decode())


def requests(found: Samples, endpoint: str = "pay", status: str = "200") -> float:
    """Return the count of requests."""
    return found.get(("twelvefactor_http_requests_total", frozenset({("endpoint", endpoint), ("status", status)})), 0.0)
