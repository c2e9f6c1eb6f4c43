"""`flask bootstrap status`: text, JSON and exit status."""

import json

import pytest

from settings.probe import HealthStatus
from settings.status.terminal import exit_status, look, status_json, status_text
from tests.status.conftest import FakeError, FakeJob, FakeService, FakeSnapshot, World


@pytest.mark.parametrize(
    ("service", "status", "expected"),
    [
        ("database", HealthStatus.HEALTHY, 0),
        ("cache", HealthStatus.DISABLED, 0),
        ("cache", HealthStatus.FALLBACK, 1),
        ("cache", HealthStatus.UNHEALTHY, 1),
        ("migrations", HealthStatus.UNHEALTHY, 1),
        ("database", HealthStatus.FALLBACK, 1),
        ("database", HealthStatus.UNHEALTHY, 3),
    ],
)
def test_exit_status(world: World, service: str, status: HealthStatus, expected: int) -> None:
    """0 when all is well, 1 when something is degraded, 3 when the database cannot be used."""
    world.change(service, status=status)
    assert exit_status(look(world.sources())) == expected


def test_exit_status_speaks_for_every_process(world: World) -> None:
    """A process that runs on its fallback counts though the command sees a healthy service."""
    world.snapshots = [FakeSnapshot("web-2:7", body={"services": [{"name": "cache", "status": "fallback"}]})]
    assert exit_status(look(world.sources())) == 1


def test_what_a_command_cannot_know_is_left_to_the_fleet(world: World) -> None:
    """A command runs no workers: that it does not know how they are is no fault of theirs."""
    world.services["workers"] = FakeService("workers", HealthStatus.UNKNOWN)
    assert exit_status(look(world.sources())) == 0
    world.snapshots = [FakeSnapshot("web-2:7", body={"services": [{"name": "workers", "status": "unhealthy"}]})]
    assert exit_status(look(world.sources())) == 1


def test_text_says_what_to_do(world: World) -> None:
    """A degraded service comes first, with cause and fix; alerts, errors and jobs follow."""
    world.change("cache", status=HealthStatus.FALLBACK, cause="nothing listens there", fix="start Redis")
    world.alerts.add(title="checkout is slow", occurrence_count=9)
    body = {
        "services": [{"name": "cache", "status": "healthy"}],
        "errors": [{"fingerprint": "x", "seen": 12, "suppressed": 7, "example": "ValueError: no such order"}],
        "jobs": [
            {"name": "report", "schedule": "every 30 s", "once": False, "last_outcome": "failed", "last_error": "boom"}
        ],
    }
    world.snapshots = [FakeSnapshot("web-2:7", body=body)]
    lines = status_text(look(world.sources("production"))).splitlines()
    assert lines[0] == "shop (production): Degraded: cache"
    assert lines[1].startswith("1 serving process on 1 machine")
    assert lines[4].split()[:6] == ["warn", "cache", "fallback", "in", "1", "of"]
    assert lines[5:7] == ["        cause: nothing listens there", "        fix: start Redis"]
    text = "\n".join(lines)
    assert all(words in text for words in ("#1 checkout is slow (9 times", "12 seen, 7 held back", "failed", "boom"))


def test_text_without_a_server(world: World) -> None:
    """Where nothing serves, the command says that it speaks for itself alone."""
    world.errors, world.jobs = [FakeError("x")], [FakeJob("report", last_started=None, last_outcome="")]
    text = status_text(look(world.sources()))
    assert "no serving process" in text
    assert "not run yet" in text


def test_no_text_of_a_user_acts_on_the_terminal(world: World) -> None:
    """Escape sequences in alerts, errors and the failures of jobs are shown, not obeyed."""
    evil = "\x1b]0;owned\x07\x9b2J\u202e\ud800"
    world.change("cache", status=HealthStatus.FALLBACK, detail=evil, cause=evil, fix=evil)
    world.alerts.add(title=evil, status="acknowledged", acknowledged_by=evil)
    world.errors, world.jobs = [FakeError(evil, example=evil)], [FakeJob(evil, last_error=evil, owner=evil)]
    world.history = [{"job": "x", "error": evil}]
    view = look(world.sources())
    for text in (status_text(view), status_json(view)):
        text.encode()
        assert not [each for each in text if not each.isprintable() and each != "\n"]


def test_json_is_complete(world: World) -> None:
    """The JSON has a row a service, alert, error and job, and moments in seconds since 1970."""
    world.alerts.add(title="slow")
    world.snapshots = [
        FakeSnapshot("web-2:7", body={"services": [{"name": "cache", "status": "fallback", "since": 5.0}]})
    ]
    found = json.loads(status_json(look(world.sources())))
    services = {each["name"]: each for each in found["services"]}
    assert (found["verdict"], services["cache"]["verdict"], services["cache"]["since"]) == ("warn", "warn", 5.0)
    assert (services["cache"]["processes"], services["cache"]["asked"]) == (["web-2:7"], 2)
    assert found["alerts"][0]["title"] == "slow"
    assert found["processes"][0]["name"] == "web-2:7"


def test_tables_that_cannot_be_read_are_named(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A database that refuses is said to be unread; the rest is shown."""
    world.alerts.broken = OSError("gone")
    assert "the tables could not be read" in status_text(look(world.sources()))
    assert "gone" in caplog.text
