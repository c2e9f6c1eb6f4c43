"""/metrics: counters over processes, gauges over snapshots."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.status.conftest import SINCE, TOKEN, FakeError, FakeJob, FakeSnapshot, MakeApp, World
from tests.status.scraped import samples

READ_AT = "twelvefactor_tables_read_timestamp_seconds"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of each test to itself."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


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


def test_no_alert_is_a_zero_once_the_table_was_read(make_app: MakeApp, world: World) -> None:
    """A chart without alerts shows a line at zero, and how old that is; before the first look it shows nothing."""
    labels = frozenset({("severity", "high"), ("status", "active")})
    world.alerts.broken = OSError("gone")
    unread = samples(make_app().test_client().get("/metrics").text)
    assert not [name for name, _ in unread if name in ("twelvefactor_open_alerts", READ_AT)]
    world.alerts.broken = None
    found = samples(make_app().test_client().get("/metrics").text)
    assert found["twelvefactor_open_alerts", labels] == 0
    assert abs(found[READ_AT, frozenset()] - time.time()) < 60


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


def test_a_scrape_and_the_writer_may_begin_at_once() -> None:
    """The library, whose modules import each other, is imported by one thread at a time."""
    program = textwrap.dedent(
        """
        import sys, tempfile, threading
        from flask import Flask
        from settings.status.model import StatusSettings
        from settings.status.routes import install_status
        from settings.status.sources import StatusSources
        tempfile.tempdir = tempfile.mkdtemp()
        sys.setswitchinterval(1e-5)
        app = Flask("shop")
        installed = install_status(app, StatusSettings(page=True), StatusSources("shop", "testing", dict))
        statuses = []
        def scrape():
            statuses.append(app.test_client().get("/metrics").status_code)
        threads = [threading.Thread(target=scrape) for _ in range(4)]
        threads.append(threading.Thread(target=installed.snapshot_body))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 4, statuses
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
