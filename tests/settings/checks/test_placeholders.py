"""Values that nobody filled in."""

from pathlib import Path

import pytest

from settings.loading import inspect_settings


def severities(environment: str, **variables: str) -> dict[str, str]:
    """Return variable and severity of each placeholder that is found."""
    environ = {"APP_ENV": environment, "DATABASE_URL": "postgresql://a@localhost/d", **variables}
    found = inspect_settings(environ, folder=Path("/nonexistent-folder")).problems
    return {each.variable: each.severity for each in found if each.code == "placeholder"}


@pytest.mark.parametrize(
    "value", ["changeme", "CHANGE-ME", "change_me", "<token>", "<64 random hex digits>", "${TOKEN}", "a${TOKEN:-}b",
              "xxxx", "your-token-here", "TODO", "***"],
)  # fmt: skip
def test_a_placeholder_is_told(value: str) -> None:
    """It is an error where the application is served, and a warning where it is developed."""
    assert severities("production", WS_TOKEN=value) == {"WS_TOKEN": "error"}
    assert severities("development", WS_TOKEN=value) == {"WS_TOKEN": "warning"}


@pytest.mark.parametrize(
    "url", ["postgresql://app:changeme@h/d", "postgresql://<user>:x@h/d", "postgresql://u:${PW}@h/d",
            "postgresql://u:p@<host>/d", "postgresql://u:p@h/<database>",
            "postgresql+psycopg2://app:***@h/d", "postgresql://app:todo@h/d"],
)  # fmt: skip
def test_a_part_of_a_url_may_be_one(url: str) -> None:
    """User, password, host and database of a URL are looked at one by one; a URL that is wrong anyway is told once."""
    environ = {"APP_ENV": "production", "DATABASE_URL": url}
    found = inspect_settings(environ, folder=Path("/nonexistent-folder")).problems
    assert len([each for each in found if each.variable == "DATABASE_URL" and each.severity == "error"]) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DATABASE_URL", "${DB}"), ("DATABASE_URL", "<your url>"), ("REDIS_URL", "redis://h/${NUMBER}"),
     ("REDIS_URL", "redis://<host>:<port>"), ("WS_URL", "changeme"), ("LOG_LEVEL", "<level>"),
     ("WS_QUEUE_SIZE", "${N}")],
)  # fmt: skip
def test_a_value_that_cannot_be_used_for_it_is_told_by_that_alone(variable: str, value: str) -> None:
    """A placeholder is what is wrong, not the scheme, port or number that it does not have; and it is an error."""
    found = inspect_settings({variable: value}, folder=Path("/nonexistent-folder"))
    assert [(each.code, each.severity) for each in found.problems if each.variable == variable] == [
        ("placeholder", "error")
    ]


@pytest.mark.parametrize("value", ["a<b>c$d", "changemeister", "$HOME", "x{y}z", "correct horse"])
def test_a_password_is_no_placeholder(value: str) -> None:
    """Signs that only look a little like one are left alone."""
    assert severities("production", WS_TOKEN=value) == {}


@pytest.mark.parametrize("name", ["todo", "TODO", "fixme", "xxxx"])
def test_a_name_is_no_placeholder(name: str) -> None:
    """An application may well be called todo, and so may its database, its user and its host."""
    url = f"postgresql://{name}:secret@{name}:5432/{name}"
    assert severities("production", APP_NAME=name, DATABASE_URL=url) == {}
    assert severities("production", WS_QUEUE_SIZE=name, WS_TOKEN=name) == {
        "WS_QUEUE_SIZE": "error",
        "WS_TOKEN": "error",
    }
