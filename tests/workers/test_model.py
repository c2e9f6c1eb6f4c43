"""WORKERS_: bounds, defaults, and a broker for Celery."""

from types import SimpleNamespace
from typing import Any

import pytest

from settings.problems import SettingsError
from settings.workers.model import WorkersSettings
from settings.workers.performance import LEAST_CALLS


def test_defaults() -> None:
    """What holds when nothing is set."""
    settings = WorkersSettings()
    assert settings.model_dump() == {
        "enabled": True, "engine": "thread", "broker_url": None, "health_interval": 30, "performance_interval": 60,
        "cleanup_interval": 3600, "grace": 10, "alert_retention_days": 30, "latency_threshold_ms": 1000,
        "error_rate_threshold": 0.05,
    }  # fmt: skip
    assert WorkersSettings.defaults_in("testing") == {"enabled": False}
    assert WorkersSettings.defaults_in("production") == {}


@pytest.mark.parametrize(
    "wrong",
    [{"health_interval": 0}, {"performance_interval": -1}, {"cleanup_interval": "often"}, {"grace": -1},
     {"alert_retention_days": 0}, {"latency_threshold_ms": 0}, {"error_rate_threshold": 1.5}, {"engine": "dramatiq"},
     {"broker_url": "ftp://broker"}, {"broker_url": "redis+sentinel://broker"},
     {"broker_url": "unix://run/redis.sock"}, {"broker_url": "redis+socket://"}],
)  # fmt: skip
def test_wrong_value_names_its_variable(wrong: dict[str, Any]) -> None:
    """Each wrong value is one problem of its own variable."""
    with pytest.raises(SettingsError) as caught:
        WorkersSettings(**wrong)
    (problem,) = caught.value.problems
    assert problem.variable == f"WORKERS_{next(iter(wrong)).upper()}"
    assert problem.fix


def test_celery_that_is_not_installed_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the problem names the command that installs it."""
    monkeypatch.setattr("settings.workers.model.PathFinder", SimpleNamespace(find_spec=lambda _name: None))
    with pytest.raises(SettingsError) as caught:
        WorkersSettings(engine="celery")
    (problem,) = caught.value.problems
    assert (problem.variable, problem.code) == ("WORKERS_ENGINE", "celery-not-installed")
    assert "pip install 'flask-twelvefactor[celery]'" in problem.fix


@pytest.mark.parametrize(
    "url",
    ["redis+socket:///run/redis.sock", "amqps://u:p@h/v", "sqs://", "filesystem://", "azureservicebus://p:k@h",
     "gcpubsub://projects/x", "mongodb://h/celery", "sqla+postgresql://u:p@h/d", "confluentkafka://h:9092", "memory://"],
)  # fmt: skip
def test_any_broker_of_celery_may_be_named(url: str) -> None:
    """Whether its client is installed is found out where Celery is used."""
    broker = WorkersSettings(engine="celery", broker_url=url).broker_url
    assert broker is not None
    assert broker.get_secret_value() == url


def test_no_secret_of_the_broker_is_shown() -> None:
    """Neither repr nor a problem shows the broker's password."""
    settings = WorkersSettings(broker_url="amqp://app:hidden@broker.example.com//")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("name", ["latency_threshold_ms", "error_rate_threshold"])
def test_limits_tell_how_many_calls_they_need(name: str) -> None:
    """Who waits for an alert after a few slow requests can read why there is none."""
    assert f"of {LEAST_CALLS} calls or more" in str(WorkersSettings.model_fields[name].description)
