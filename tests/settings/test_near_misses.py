"""Slips are named, and what other people put into an environment is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.model import ROOMS
from settings.near_misses import NOT_OURS, distance, name_problems

KNOWN = [model.variable(field) for model in ROOMS.values() for field in model.model_fields]
POD = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_PORT": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
    "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "REDIS_SERVICE_HOST": "10.0.0.1", "REDIS_SERVICE_PORT": "6379", "REDIS_SERVICE_PORT_REDIS": "6379",
    "REDIS_PORT": "tcp://10.0.0.1:6379", "REDIS_PORT_6379_TCP": "tcp://10.0.0.1:6379",
    "REDIS_PORT_6379_TCP_ADDR": "10.0.0.1", "REDIS_PORT_6379_TCP_PORT": "6379", "REDIS_PORT_6379_TCP_PROTO": "tcp",
    "DATABASE_SERVICE_HOST": "10.0.0.2", "DATABASE_PORT": "tcp://10.0.0.2:5432",
    "DATABASE_PORT_5432_TCP_ADDR": "10.0.0.2", "WORKERS_PORT_80_TCP": "tcp://10.0.0.3:80",
    "STATUS_SERVICE_PORT_HTTP": "80", "CACHE_PORT_53_UDP_ADDR": "10.0.0.4", "APP_PORT": "tcp://10.0.0.5:80",
    "WS_PORT": "tcp://10.0.0.6:80", "WS_SERVICE_HOST": "10.0.0.6", "HOSTNAME": "shop-7d9c-abcde", "HOME": "/root",
    "REDIS_NAME": "/shop/redis", "REDIS_ENV_REDIS_VERSION": "6.2.5",
}  # fmt: skip
DYNO = {
    "DYNO": "web.1", "PORT": "5000", "REDIS_TLS_URL": "rediss://h", "HEROKU_POSTGRESQL_GOLD_URL": "postgres://h/d",
    "DATABASE_CONNECTION_POOL_URL": "postgres://h/d", "REDIS_TEMPORARY_URL": "redis://h", "WEB_CONCURRENCY": "2",
    "STACK": "heroku-24", "LANG": "C.UTF-8", "LD_LIBRARY_PATH": "/app/lib", "PYTHONHASHSEED": "random", "PS1": "$ ",
    "HEROKU_APP_NAME": "shop", "HEROKU_SLUG_COMMIT": "abc", "LIBRARY_PATH": "/app/lib", "GUNICORN_CMD_ARGS": "-w 2",
}  # fmt: skip
ACTIONS = dict.fromkeys([
    "CI", "GITHUB_ACTIONS", "GITHUB_ACTION", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_REF", "GITHUB_SHA", "GITHUB_TOKEN",
    "GITHUB_WORKSPACE", "GITHUB_RUN_ID", "GITHUB_API_URL", "GITHUB_SERVER_URL", "RUNNER_OS", "RUNNER_TEMP",
    "RUNNER_TOOL_CACHE", "ACTIONS_RUNTIME_URL", "ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL", "AGENT_TOOLSDIRECTORY",
    "ImageOS", "pythonLocation", "DEBIAN_FRONTEND", "TEST_DATABASE_URL", "LOG_DIR", "XDG_CONFIG_HOME",
], "1")  # fmt: skip
SHELL = dict.fromkeys([
    "SHELL", "USER", "LOGNAME", "HOME", "PATH", "PWD", "OLDPWD", "TERM", "LANG", "LC_ALL", "EDITOR", "PAGER",
    "LS_COLORS", "LSCOLORS", "SSH_AUTH_SOCK", "DISPLAY", "WSLENV", "WSL_DISTRO_NAME", "WSL_INTEROP", "VIRTUAL_ENV",
    "PS1", "SHLVL", "_", "http_proxy", "HTTPS_PROXY", "no_proxy", "AWS_PROFILE", "AWS_URL", "PYENV_ROOT", "NVM_DIR",
    "APP_SECRET", "APP_HOME", "APP_URL", "APP_KEY", "APP_DEBUG", "APP_PORT", "LOG_PATH", "LOG_SIZE", "LOG_TIME",
    "DB_URL", "API_URL", "WEB_URL", "DATABASE_READ_URL", "FLASK_APP", "FLASK_DEBUG", "SECRET_KEY", "DEBUG",
], "1")  # fmt: skip


def said(*names: str, value: str = "x") -> list[tuple[str, str, str]]:
    """Return name, code and fix of what is said of names."""
    return [
        (each.variable, each.code, each.fix)
        for each in name_problems([(n, value, "environment") for n in names], KNOWN)
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABSE_URL", "DATABASE_URL"), ("REDIS_ULR", "REDIS_URL"), ("WS_MAX_RETRYS", "WS_MAX_RETRIES"),
        ("database_url", "DATABASE_URL"), ("LOG-LEVEL", "LOG_LEVEL"), ("DATABASE_URI", "DATABASE_URL"),
        ("LOG_LEVLE", "LOG_LEVEL"), ("WORKER_ENABLED", "WORKERS_ENABLED"), ("STATUS_TOKN", "STATUS_TOKEN"),
        ("DATABSE_URL_FILE", "DATABASE_URL_FILE"), ("APP_ENVV", "APP_ENV"), ("log.level", "LOG_LEVEL"),
        ("REDISS_URL", "REDIS_URL"), ("CACHE_TRESHOLD", "CACHE_THRESHOLD"),
    ],
)  # fmt: skip
def test_a_slip_is_named(name: str, meant: str) -> None:
    """A misspelt name is a warning with the variable that was meant."""
    assert said(name) == [(name, "near-miss", f"rename it to {meant}")]


@pytest.mark.parametrize("environment", [POD, DYNO, ACTIONS, SHELL], ids=["pod", "dyno", "actions", "shell"])
def test_foreign_environments_stay_unmentioned(environment: dict[str, str]) -> None:
    """What platforms and people put into an environment is no slip."""
    assert name_problems([(name, value, "environment") for name, value in environment.items()], KNOWN) == []


@pytest.mark.parametrize("name", ["DATABASE_HOST", "REDIS_HOST", "CACHE_TYPE", "WS_PORT", "WORKERS_COUNT", "STATUS_X"])
def test_a_name_with_our_prefix_is_a_notice(name: str) -> None:
    """What begins like ours and is read by nobody is told, with what is read."""
    [problem] = name_problems([(name, "5432", ".env:3")], KNOWN)
    assert (problem.severity, problem.code, problem.source) == ("notice", "unknown-variable", ".env:3")
    assert f"{name.partition('_')[0]}_" in problem.fix


def test_a_value_behind_a_colon_is_told_and_not_shown() -> None:
    """Who writes NAME:value makes a name of all that stands before the next =, a password too."""
    [problem] = name_problems([("DATABASE_URL:postgresql://u:Zq9@h/d?sslmode", "require", ".env:1")], KNOWN)
    assert (problem.variable, problem.code, problem.source) == ("DATABASE_URL", "invalid-line", ".env:1")
    assert "Zq9" not in repr(problem)
    assert [code for _, code, _ in said(" DATABASE_URL", "DATABASE_URL ")] == ["invalid-line"] * 2
    assert said("DATABASE_HOST:Zq9", "BASH_FUNC_which%%", "ProgramFiles(x86)") == []


def test_our_own_names_are_not_mentioned() -> None:
    """Every variable, and its _FILE, is known."""
    assert said(*KNOWN, *(f"{name}_FILE" for name in KNOWN), "APP_ENV_DIR", *NOT_OURS) == []


@given(st.sampled_from([name for name in KNOWN if len(name) > 6]), st.data())
def test_one_slip_always_finds_its_name(name: str, data: st.DataObject) -> None:
    """A letter left out, doubled or swapped leads back to a variable of ours."""
    at = data.draw(st.integers(1, len(name) - 2))
    slips = [
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    ]
    slip = data.draw(st.sampled_from(slips))
    if slip not in {*KNOWN, *(f"{each}_FILE" for each in KNOWN)}:
        assert [code for _, code, _ in said(slip)] == ["near-miss"]


@given(st.text("ABC_", max_size=8), st.text("ABC_", max_size=8))
def test_distance_is_symmetric_and_bounded(left: str, right: str) -> None:
    """The distance of two words is that of the two exchanged, and at most the longer one's length."""
    assert distance(left, right, 99) == distance(right, left, 99) <= max(len(left), len(right))
    assert (distance(left, right, 99) == 0) == (left == right)


@given(st.text("ABC_", max_size=8), st.text("ABC_", max_size=8), st.integers(0, 3))
def test_giving_up_early_changes_no_answer(left: str, right: str, most: int) -> None:
    """Whether two words are within a distance does not depend on where the computation stops."""
    assert (distance(left, right, most) <= most) == (distance(left, right, 99) <= most)
