"""/metrics: counters over processes, gauges over snapshots."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from settings.status.tally import SECONDS_BUCKETS, Tally, server_folder
from tests.servers import wait_until
from tests.status.conftest import SINCE, TOKEN, FakeError, FakeJob, FakeSnapshot, MakeApp, World

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of each test to itself."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def samples(text: str) -> Samples:
    """Return the samples of a scrape, read by Prometheus' own parser."""
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def scrape(tally: Tally) -> Samples:
    """Return what a tally's folder holds."""
    from prometheus_client import CollectorRegistry, generate_latest

    from settings.status.prometheus_files import collector

    registry = CollectorRegistry()
    registry.register(collector(tally.folder))
    return samples(generate_latest(registry).decode())


def requests(found: Samples, endpoint: str = "pay", status: str = "200") -> float:
    """Return the count of requests."""
    return found.get(("twelvefactor_http_requests_total", frozenset({("endpoint", endpoint), ("status", status)})), 0.0)


def test_a_scrape_follows_prometheus_conventions(make_app: MakeApp, world: World) -> None:
    """Names have the prefix, counters end in _total, times are in seconds, and the parser reads it all."""
    world.change("database", facts={"pool_in_use": 3, "pool_size": 5})
    world.change("cache", facts={"mode": "redis", "hits": 8, "misses": 2})
    world.jobs, world.errors = [FakeJob("report", failures=1)], [FakeError("x", seen=12)]
    world.alerts.add(severity="critical")
    world.snapshots = [FakeSnapshot("web-2:7", body={"services": [{"name": "cache", "status": "fallback"}]})]
    response = make_app().test_client().get("/metrics")
    found = samples(response.text)
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert all(name.startswith("twelvefactor_") for name, _ in found)
    assert found["twelvefactor_database_pool_in_use_connections", frozenset()] == 3
    assert found["twelvefactor_cache_hits_total", frozenset()] == 8
    assert found["twelvefactor_cache_mode_processes", frozenset({("mode", "redis")})] == 1
    assert found["twelvefactor_errors_seen_total", frozenset()] == 12
    assert found["twelvefactor_worker_failures_total", frozenset({("job", "report")})] == 1
    assert found["twelvefactor_open_alerts", frozenset({("severity", "critical"), ("status", "active")})] == 1
    assert found["twelvefactor_service_processes", frozenset({("service", "cache"), ("status", "fallback")})] == 1
    assert found["twelvefactor_service_processes", frozenset({("service", "cache"), ("status", "healthy")})] == 1
    assert found["twelvefactor_processes", frozenset({("host", "web-2")})] == 1
    last = found["twelvefactor_worker_last_run_timestamp_seconds", frozenset({("job", "report")})]
    assert last == SINCE.timestamp()


def test_a_histogram_adds_up(tmp_path: Path) -> None:
    """Buckets are cumulative, the count is that of all requests, the sum that of their seconds."""
    tally = Tally(tmp_path / "files", open_after_seconds=0)
    durations = [0.001, 0.005, 0.3, 60.0]
    for seconds in durations:
        tally.observe("pay", 200, seconds)
    wait_until(lambda: (tmp_path / "files").exists(), what="the files")
    wait_until(lambda: requests(scrape(tally)) == 4, what="all requests in the file")
    name, labels = "twelvefactor_http_request_duration_seconds", {("endpoint", "pay")}
    found = scrape(tally)
    for bound in SECONDS_BUCKETS:
        expected = sum(each <= bound for each in durations)
        assert found[f"{name}_bucket", frozenset({*labels, ("le", str(bound))})] == expected
    assert found[f"{name}_count", frozenset(labels)] == 4
    assert found[f"{name}_sum", frozenset(labels)] == pytest.approx(sum(durations))


def test_counts_before_and_after_the_files_are_open(tmp_path: Path) -> None:
    """What was counted in memory is not lost when the files are opened, and nothing is counted twice."""
    tally = Tally(tmp_path / "files", open_after_seconds=30)
    for _ in range(5):
        tally.observe("pay", 200, 0.1)
    tally.put("twelvefactor_errors_seen", "Errors.", {}, 3)
    for _ in range(5):
        tally.observe("pay", 200, 0.1)
    tally.observe("other", 404, 0.1)
    found = scrape(tally)
    assert (requests(found), requests(found, "other", "404")) == (10, 1)


def test_all_processes_of_a_server_add_up(tmp_path: Path) -> None:
    """A child that was forked counts from zero in a file of its own, and its counts outlive it."""
    tally = Tally(tmp_path / "files", open_after_seconds=30)
    tally.observe("pay", 200, 0.1)
    tally.put("x", "X.", {}, 1)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            tally.observe("pay", 200, 0.1)
            tally.put("x", "X.", {}, 1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert requests(scrape(tally)) == 4


def test_processes_of_a_group_meet_without_a_word(tmp_path: Path) -> None:
    """Master and workers of one server find the same folder, another server another one, and dead ones' go."""
    program = textwrap.dedent(
        """
        import json, os, pathlib, sys
        from settings.status.tally import server_folder
        parent = pathlib.Path(sys.argv[1])
        mine = server_folder("shop", parent=parent)
        mine.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        worker = os.fork()
        if worker == 0:
            os.write(writing, str(server_folder("shop", parent=parent)).encode())
            os._exit(0)
        os.waitpid(worker, 0)
        print(json.dumps([str(mine), os.read(reading, 1000).decode()]))
        """
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    folders = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
        master, worker = json.loads(done.stdout)
        assert master == worker
        folders.append(Path(master))
    assert folders[0] != folders[1]
    assert server_folder("shop", parent=tmp_path) not in folders
    assert not folders[1].exists()


def test_an_unusable_folder_costs_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the files cannot be made, one warning names TMPDIR and requests are counted on in memory."""
    tally = Tally(tmp_path / "missing" / "files", open_after_seconds=0)
    tally.observe("pay", 200, 0.1)
    wait_until(lambda: "metrics-unavailable" in caplog.text, what="the warning")
    tally.observe("pay", 200, 0.1)
    assert caplog.text.count("metrics-unavailable") == 1


def test_a_scrape_without_files_is_503(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape that cannot count says so by its status instead of showing nothing."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert make_app().test_client().get("/metrics").status_code == 503


def test_without_the_extra_the_answer_names_it(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prometheus-client /metrics says what to install, and nothing else changes."""
    monkeypatch.setattr("settings.status.metrics.find_spec", lambda _name: None)
    client = make_app().test_client()
    answer = client.get("/metrics")
    assert (answer.status_code, "flask-twelvefactor[metrics]" in answer.text) == (501, True)
    assert client.get("/status").status_code == 200


def test_a_scraper_signs_in_with_the_token(make_app: MakeApp) -> None:
    """Prometheus' `authorization` opens /metrics from another machine; without it there is nothing to see."""
    client = make_app(page=False, token=TOKEN, environment="production").test_client()
    away = {"REMOTE_ADDR": "203.0.113.9"}
    assert client.get("/metrics", environ_base=away).status_code == 401
    allowed = client.get("/metrics", environ_base=away, headers={"Authorization": f"Bearer {TOKEN}"})
    assert "twelvefactor_processes" in allowed.text


def test_installing_imports_no_prometheus() -> None:
    """A boot does not pay for the metrics library."""
    program = textwrap.dedent(
        """
        import sys
        from flask import Flask
        from settings.status.model import StatusSettings
        from settings.status.routes import install_status
        from settings.status.sources import StatusSources
        app = Flask("shop")
        install_status(app, StatusSettings(), StatusSources("shop", "testing", dict))
        assert app.test_client().get("/readyz").status_code == 200
        assert "prometheus_client" not in sys.modules
        """
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
