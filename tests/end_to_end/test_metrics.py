"""/metrics of a real service: one true count over all gunicorn workers, without a hook in its configuration."""

import os
import re
import signal

from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.status_service import BEARER
from tests.readme import blocks
from tests.running import Running
from tests.servers import wait_until


def scrape(running: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples of a scrape."""
    text = running.ask("/metrics", headers=BEARER).text
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_metrics_add_up_over_workers(fleet: Running) -> None:
    """Requests that three workers answered are one true count, by endpoint and status; a kill takes none back."""
    for _ in range(30):
        fleet.ask("/hello")
    for _ in range(6):
        fleet.ask("/broken")
    name = "twelvefactor_http_requests_total"
    hello = frozenset({("endpoint", "hello"), ("status", "200")})
    broken = frozenset({("endpoint", "broken"), ("status", "500")})
    wait_until(lambda: scrape(fleet).get((name, hello)) == 30, what="all requests that were answered well")
    wait_until(lambda: scrape(fleet).get((name, broken)) == 6, what="all requests that failed")
    endpoint = frozenset({("endpoint", "hello")})
    assert scrape(fleet)["twelvefactor_http_request_duration_seconds_count", endpoint] == 30
    wait_until(
        lambda: sum(v for (n, _), v in scrape(fleet).items() if n == "twelvefactor_processes") == 3, what="3 rows"
    )
    wait_until(lambda: scrape(fleet)["twelvefactor_errors_seen_total", frozenset()] >= 6, what="the count of errors")
    killed = fleet.children()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in fleet.children() and len(fleet.children()) == 3, what="the next worker")
    assert scrape(fleet)[name, hello] == 30, "what a worker counted outlives it"
    named = {name for block in blocks("yaml") for name in re.findall(r"twelvefactor_\w+", block)}
    assert len(named) == 3
    assert named <= {name for name, _ in scrape(fleet)}, "the README's alerts watch what is there"
