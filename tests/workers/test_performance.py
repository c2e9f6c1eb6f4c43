"""Requests and statements are counted exactly, judged exactly, and remembered in bounded memory."""

import math
import os
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.workers.performance import FAILING, MOST_ENDPOINTS, OTHERS, SLOW, SLOW_DATABASE, PerformanceMonitor

durations = st.lists(st.floats(0.01, 60_000), min_size=1, max_size=120)


def _monitor(latency_ms: float = 1000, error_rate: float = 0.05) -> PerformanceMonitor:
    return PerformanceMonitor(latency_threshold_ms=latency_ms, error_rate_threshold=error_rate)


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


@given(durations, st.floats(1, 50_000))
def test_slow_endpoint_is_found_exactly(milliseconds: list[float], limit: float) -> None:
    """A finding comes if and only if the true p95 of 20 or more requests is above the limit, with a near value."""
    monitor = _monitor(limit)
    for each in milliseconds:
        monitor.observe("orders", 200, each / 1000)
    seen = [each / 1000 * 1000 for each in milliseconds]
    found = monitor.findings()
    assert bool(found) == (len(seen) >= 20 and _p95(seen) > limit)
    if found:
        assert (found[0].alert_type, found[0].endpoint, found[0].calls) == (SLOW, "orders", len(seen))
        assert _p95(seen) <= found[0].value <= _p95(seen) * 1.1 + 0.1


@given(st.lists(st.sampled_from([200, 302, 404, 499, 500, 503, 599]), max_size=60), st.floats(0.01, 1))
def test_failing_endpoint_is_found_exactly(statuses: list[int], limit: float) -> None:
    """A finding comes if and only if the share of 5xx among 20 or more requests is above the limit."""
    monitor = _monitor(error_rate=limit)
    for each in statuses:
        monitor.observe("orders", each, 0.001)
    share = sum(each >= 500 for each in statuses) / max(1, len(statuses))
    found = monitor.findings()
    assert [each.alert_type for each in found] == ([FAILING] if len(statuses) >= 20 and share > limit else [])
    assert all(each.value == share for each in found)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(0, 5)), max_size=60), st.integers(0, 59))
def test_figures_are_those_of_all_requests(requests: list[tuple[int, bool, float]], cut: int) -> None:
    """Whenever an interval ends, requests and errors add up, and no percentile is above the slowest request."""
    monitor = _monitor()
    for number, (endpoint, wrong, seconds) in enumerate(requests):
        monitor.observe(str(endpoint), 500 if wrong else 200, seconds)
        if number == cut:
            monitor.findings()
    figures = monitor.figures()
    assert (figures["requests"], figures["errors"]) == (len(requests), sum(wrong for _, wrong, _ in requests))
    assert float(figures["p50_ms"] or 0) <= float(figures["p95_ms"] or 0) <= float(figures["slowest_ms"] or 0)


def test_each_interval_begins_anew() -> None:
    """What was found once is not found again without new requests."""
    monitor = _monitor(10)
    for _ in range(20):
        monitor.observe("orders", 200, 1)
    assert len(monitor.findings()) == 1
    assert monitor.findings() == []


def test_fewer_than_twenty_requests_say_nothing() -> None:
    """Nineteen slow failures raise nothing."""
    monitor = _monitor(10)
    for _ in range(19):
        monitor.observe("orders", 500, 1)
    assert monitor.findings() == []


def test_endpoint_has_limits_of_its_own() -> None:
    """A report may take longer than the rest, and health checks must not fail at all."""
    monitor = _monitor(100)
    monitor.limit("report", latency_ms=5000)
    monitor.limit("pay", error_rate=0.01)
    for number in range(50):
        monitor.observe("report", 200, 3)
        monitor.observe("orders", 200, 3)
        monitor.observe("pay", 500 if number == 0 else 200, 0.001)
    assert [(each.alert_type, each.endpoint, each.limit) for each in monitor.findings()] == [
        (SLOW, "orders", 100),
        (FAILING, "pay", 0.01),
    ]


def test_new_limit_holds_at_once_and_forgets_no_request() -> None:
    """What came before counts for the figures, and is not judged by a limit that was not there."""
    monitor = _monitor(100)
    for _ in range(20):
        monitor.observe("report", 200, 3)
    monitor.limit("report", latency_ms=5000)
    for _ in range(20):
        monitor.observe("report", 200, 6)
    assert [(each.limit, each.calls) for each in monitor.findings()] == [(5000, 20)]
    assert monitor.figures()["requests"] == 40


@pytest.mark.parametrize("wrong", [{"latency_ms": 0}, {"latency_ms": -1}, {"error_rate": 0}, {"error_rate": 1.1}])
def test_wrong_limit_is_refused(wrong: dict[str, float]) -> None:
    """A limit that cannot be right is an error that names the endpoint."""
    with pytest.raises(ValueError, match="'orders'"):
        _monitor().limit("orders", **wrong)


def test_slow_database_is_found() -> None:
    """Statements are judged together, and the slowest one's text is shown, shortened, on one line."""
    monitor = _monitor(100)
    for number in range(20):
        monitor.observe_statement(f"SELECT *\n  FROM t{number} " + "x" * 500, 0.2 + number / 1000, failed=number < 2)
    found = monitor.findings()
    assert [(each.alert_type, each.service_name, each.endpoint) for each in found] == [(SLOW_DATABASE, "database", "")]
    figures = monitor.figures()
    assert (figures["statements"], figures["slow_statements"], figures["statement_errors"]) == (20, 20, 2)
    assert str(figures["slowest_statement"]).startswith("SELECT * FROM t19 x")
    assert len(str(figures["slowest_statement"])) == 200
    monitor.observe_statement("SELECT 1", 0.001)
    assert str(monitor.figures()["slowest_statement"]).startswith("SELECT * FROM t19 x")


def test_cache_hit_rate_is_shown_once_there_is_one() -> None:
    """Hits and misses come from the cache."""
    counts = [(0, 0)]
    monitor = PerformanceMonitor(latency_threshold_ms=1, error_rate_threshold=1, cache=lambda: counts[-1])
    assert "cache_hit_rate" not in monitor.figures()
    counts.append((3, 1))
    assert monitor.reading().facts["cache_hit_rate"] == 0.75


def test_memory_is_bounded() -> None:
    """A million endpoints would take no more memory than some hundred: the rest is counted together."""
    monitor = _monitor()
    tracemalloc.start()
    for number in range(20_000):
        monitor.observe(f"endpoint-{number}", 500, 0.01)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 3 * 2**20
    assert monitor.figures()["requests"] == 20_000
    assert [each.endpoint for each in monitor.findings()] == [OTHERS]
    assert MOST_ENDPOINTS == 500


def test_counts_are_true_under_threads() -> None:
    """Eight threads lose no request while another one ends intervals."""
    monitor, stop, found = _monitor(10), threading.Event(), []

    def count() -> None:
        for _ in range(2000):
            monitor.observe("orders", 500, 0.02)

    def end() -> None:
        while not stop.wait(0.001):
            found.extend(monitor.findings())

    threads = [threading.Thread(target=count) for _ in range(8)]
    ender = threading.Thread(target=end)
    for each in [*threads, ender]:
        each.start()
    for each in threads:
        each.join()
    stop.set()
    ender.join()
    found.extend(monitor.findings())
    assert monitor.figures()["requests"] == 16_000
    assert 0 < sum(each.calls for each in found if each.alert_type == SLOW) <= 16_000


def test_child_of_a_fork_counts_from_zero() -> None:
    """A forked process reports its own requests only."""
    monitor = _monitor()
    monitor.observe("orders", 200, 0.1)
    child = os.fork()
    if child == 0:
        monitor.observe("orders", 200, 0.1)
        os._exit(0 if monitor.figures()["requests"] == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert monitor.figures()["requests"] == 1
