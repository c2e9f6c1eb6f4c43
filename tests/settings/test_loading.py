"""From any environment to Settings, or to every problem at once; and never a secret."""

import json
import pickle
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings import Settings, SettingsError, load_settings
from settings.example import rows_of
from settings.loading import inspect_settings
from settings.model import ROOMS
from settings.problems import Problem
from tests.settings.contract import DEFAULTS, ENVIRONMENTS, MINIMUM

VARIABLES = [model.variable(field) for model in ROOMS.values() for field in model.model_fields]
NOWHERE = Path("/nonexistent-folder")
MANY = hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY = st.characters(exclude_categories=())
"""Every character, and what a byte that is no UTF-8 becomes in `os.environ`."""
SECRETS = st.builds(
    "{}{}{}".format,
    st.just("Zq9"),
    st.text(st.sampled_from("abcXYZ019@:/?#%&=+ $!é'\"\\<>{}[]|^~`;,."), min_size=6, max_size=24),
    st.just("9qZ"),
)
"""Distinctive, and full of what needs escaping."""


def loaded(variables: Mapping[str, str], folder: Path = NOWHERE) -> Settings | SettingsError:
    """Return what loading came to."""
    try:
        return load_settings(variables, folder=folder)
    except SettingsError as error:
        return error


def problems(variables: Mapping[str, str], folder: Path = NOWHERE) -> dict[str, str]:
    """Return variable and code of each problem."""
    return {each.variable: each.code for each in inspect_settings(variables, folder=folder).problems}


def everything_said(variables: Mapping[str, str], folder: Path = NOWHERE) -> str:
    """Return all that any output of the settings could hold."""
    inspection = inspect_settings(variables, folder=folder)
    words = [
        repr(inspection.problems),
        repr(inspection.models),
        json.dumps(list(rows_of(inspection.models, inspection.origins))),
    ]
    try:
        settings = load_settings(variables, folder=folder)
    except SettingsError as error:
        words += [str(error), repr(error), repr(error.problems), traceback.format_exc(), repr(error.__context__)]
        words += [str(pickle.loads(pickle.dumps(error))), repr(error.__cause__), repr(error.args)]
    else:
        words += [repr(settings), str(settings), *(str(model) for model in settings.rooms.values())]
        words += [model.model_dump_json() for model in settings.rooms.values()]
    return "\n".join(words)


@MANY
@given(st.dictionaries(st.sampled_from(VARIABLES), st.text(ANY, max_size=60), max_size=6))
@example({"APP_SECRET_KEY": "Zq9\udcff", "LOG_LEVEL": "LOUD"})
def test_any_text_is_settings_or_a_settings_error(variables: dict[str, str]) -> None:
    """Whatever stands in any variable, the outcome is Settings or a SettingsError with a fix for each problem."""
    found = loaded(variables)
    said: tuple[Problem, ...] = found.problems
    assert all(each.variable and each.code and each.message and each.fix and each.source for each in said)
    assert isinstance(found, Settings) == all(
        each.severity != "error" or each.variable in {"DATABASE_URL", "REDIS_URL", "WS_URL"} for each in said
    ) or isinstance(found, SettingsError)


@pytest.mark.full
@pytest.mark.timeout(900)
@hypothesis_settings(max_examples=20000, deadline=None)
@given(st.dictionaries(st.sampled_from(VARIABLES), st.text(ANY, max_size=200), max_size=12))
def test_any_text_at_length(variables: dict[str, str]) -> None:
    """The same, twenty thousand times."""
    loaded(variables)


PLACES = {
    "password": "{scheme}://:{secret}@h:1/0",
    "of a user": "{scheme}://u:{secret}@h/x",
    "option": "{scheme}://h/d?password={secret}",
}
"""Where a secret may stand in a URL, rightly or not."""


def filled(secret: str, place: str) -> dict[str, str]:
    """Return every variable that may hold a secret, with this one in it."""
    schemes = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis", "WS_URL": "wss", "WORKERS_BROKER_URL": "amqp"}
    urls = {name: PLACES[place].format(scheme=scheme, secret=secret) for name, scheme in schemes.items()}
    tokens = dict.fromkeys(("APP_SECRET_KEY", "WS_TOKEN", "STATUS_TOKEN"), secret)
    return urls | tokens


def check_that_it_hides(secret: str, environment: str, place: str) -> None:
    """Look for a secret in all that is said when it is the password of every URL, and every token."""
    said = everything_said({**filled(secret, place), "APP_ENV": environment, "LOG_LEVEL": "LOUD", "APP_NAME": "a"})
    assert "Zq9" not in said
    assert "9qZ" not in said


ANYWHERE = given(
    SECRETS, st.sampled_from(["development", "production"]), st.sampled_from(["password", "of a user", "option"])
)


@MANY
@ANYWHERE
@example("Zq900?=@/9qZ", "development", "password")
def test_no_secret_is_ever_in_any_output(secret: str, environment: str, place: str) -> None:
    """Secrets of every kind, escaped or not, valid or not, are in no text, repr, JSON, traceback or pickle."""
    check_that_it_hides(secret, environment, place)


@hypothesis_settings(MANY, max_examples=15)
@given(
    SECRETS, st.sampled_from(sorted(PLACES)), st.sampled_from(["={}", "='{}'", '="{}"', " {}", ":{}", ": {}", ":{}=x"])
)
def test_no_secret_of_a_file_is_in_any_output(
    tmp_path_factory: pytest.TempPathFactory, secret: str, place: str, written: str
) -> None:
    """Neither of a `.env`, where a sign may cut it in two or make a name of it, nor of what NAME_FILE names."""
    folder = tmp_path_factory.mktemp("secrets")
    variables = filled(secret, place)
    (folder / ".env").write_text("".join(f"{name}{written.format(text)}\n" for name, text in variables.items()))
    for name, text in variables.items():
        (folder / name).write_text(text)
    pointers = {f"{name}_FILE": f"{folder}/{name}" for name in variables}
    for environ in ({"LOG_LEVEL": "LOUD"}, {"LOG_LEVEL": "LOUD", **pointers}):
        said = everything_said(environ, folder)
        assert "Zq9" not in said
        assert "9qZ" not in said


@pytest.mark.full
@pytest.mark.timeout(900)
@hypothesis_settings(max_examples=5000, deadline=None)
@ANYWHERE
def test_no_secret_at_length(secret: str, environment: str, place: str) -> None:
    """The same, five thousand times."""
    check_that_it_hides(secret, environment, place)


@pytest.mark.parametrize("separator", list("@:/?#%"))
def test_no_half_of_an_unescaped_password_is_shown(separator: str) -> None:
    """A password that its own character cuts in two is not shown in halves."""
    urls = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis", "WS_URL": "ws"}
    said = everything_said({name: f"{scheme}://u:Zq9{separator}9qZ@h/1" for name, scheme in urls.items()})
    assert "Zq9" not in said
    assert "9qZ" not in said


def test_advice_is_shown_as_it_is_to_be_written() -> None:
    """An example in a fix is no secret, whatever was given: it can be pasted and filled in."""
    for text in ("app", "postgresql", "db.example.com/app"):
        [problem] = inspect_settings({"DATABASE_URL": text}, folder=NOWHERE).problems
        assert "***" not in problem.message + problem.fix, text


@pytest.mark.parametrize(
    "url", ["sqlite:///u:Zq9@h/d", "sqlite:///:a/Zq9@h/d", "sqlite:///pg://u:Zq9@h/d", "redis://Zq9@h/0"]
)
@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL", "WORKERS_BROKER_URL", "DATABASE_FALLBACK_URL"])
def test_a_password_in_an_odd_place_is_not_shown(variable: str, url: str) -> None:
    """A server's URL behind sqlite:///, and a password without its colon, are seen for what they are."""
    assert "Zq9" not in everything_said({variable: url})


def test_nothing_stands_behind_the_error() -> None:
    """The error has no context and no cause: pydantic's would hold the values."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"DATABASE_URL": "nonsense", "APP_STRICT": "true"}, folder=NOWHERE)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_every_problem_is_in_one_report() -> None:
    """Errors of fields and between fields, of all rooms, together; errors come first."""
    found = problems(
        {
            "APP_ENV": "production", "DATABASE_URL": "mysql://h/d", "WS_MAX_RETRIES": "many", "LOG_LEVEL": "LOUD",
            "WORKERS_ENGINE": "celery", "STATUS_PAGE": "yes", "DATABSE_URL": "x", "REDIS_HOST": "h",
        }
    )  # fmt: skip
    assert found == {
        "DATABASE_URL": "unknown-scheme", "WS_MAX_RETRIES": "invalid-value", "LOG_LEVEL": "unknown-choice",
        "WORKERS_BROKER_URL": "missing-broker", "STATUS_PAGE": "status-page-open", "DATABSE_URL": "near-miss",
        "REDIS_HOST": "unknown-variable", "APP_NAME": "app-name-not-set", "APP_SECRET_KEY": "secret-key-not-set",
    }  # fmt: skip


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL", "WS_URL"])
def test_a_tolerated_url_is_reported_and_done_without(variable: str) -> None:
    """In development an invalid URL with a fallback is one error in `problems`, and the boot goes on."""
    settings = loaded({variable: "nonsense"})
    assert isinstance(settings, Settings)
    assert [each.variable for each in settings.problems if each.severity == "error"] == [variable]
    assert isinstance(loaded({variable: "nonsense", "APP_STRICT": "true"}), SettingsError)


def test_any_other_wrong_value_stops_the_boot() -> None:
    """Only the three URLs have a fallback."""
    assert isinstance(loaded({"WORKERS_BROKER_URL": "nonsense"}), SettingsError)
    assert isinstance(loaded({"DATABASE_FALLBACK_URL": "postgresql://h/d"}), SettingsError)


def test_one_slip_is_one_problem() -> None:
    """A wrong REDIS_URL is not reported again as the broker's, which comes from it."""
    assert problems({"REDIS_URL": "nonsense"}) == {"REDIS_URL": "missing-scheme"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_default_is_the_documented_one(environment: str, working_directory: Path) -> None:
    """With nothing set, each variable is what the table of variables promises."""
    inspection = inspect_settings({"APP_ENV": environment, **MINIMUM.get(environment, {})}, folder=working_directory)
    shown = {row.variable: row.value for row in rows_of(inspection.models, {})}
    for variable, promised in DEFAULTS.items():
        if variable not in MINIMUM.get(environment, {}):
            wanted = promised.get(environment, promised["else"]).format(folder=working_directory)
            assert shown[variable] == wanted, variable
    assert set(DEFAULTS) == set(VARIABLES)


def test_defaults_follow_other_variables() -> None:
    """The key prefix follows APP_NAME, and the broker REDIS_URL."""
    settings = load_settings({"APP_NAME": "shop", "REDIS_URL": "redis://h:6379/1"}, folder=NOWHERE)
    assert settings.cache.key_prefix == "shop:"
    assert settings.workers.broker_url == settings.redis.url


def test_origins_are_told(tmp_path: Path) -> None:
    """Each value says where it came from, and a problem says where the wrong value is."""
    (tmp_path / ".env").write_text("# comment\nAPP_NAME=shop\n\nexport LOG_LEVEL='LOUD'\n")
    inspection = inspect_settings({"WS_TOKEN": "t"}, folder=tmp_path)
    assert inspection.origins == {"APP_NAME": ".env:2", "LOG_LEVEL": ".env:4", "WS_TOKEN": "environment"}
    assert [each.source for each in inspection.problems] == [".env:4"]


def test_the_environment_is_never_written_to(tmp_path: Path) -> None:
    """Loading from a mapping changes neither it nor the process's own environment."""
    (tmp_path / ".env").write_text("APP_NAME=shop\n")
    given = {"LOG_LEVEL": "INFO"}
    load_settings(given, folder=tmp_path)
    assert given == {"LOG_LEVEL": "INFO"}


@pytest.mark.parametrize("place", ["password", "of a user", "option"])
def test_a_token_that_looks_like_a_url_is_secret_as_a_whole(place: str) -> None:
    """Only a variable that is a URL is shown in part."""
    check_that_it_hides("Zq9000://9qZ", "production", place)
