"""Where values come from, and which source wins."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings.loading import inspect_settings
from settings.sources import SECRET_FILE_BYTES, Sources, likely_environment, stripped


def problems(folder: Path, environ: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return variable, code and source of each problem of the sources, once every variable was looked up."""
    found = inspect_settings(environ, folder=folder).problems
    return [(each.variable, each.code, each.source) for each in found]


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_the_strongest_source_wins(tmp_path_factory: pytest.TempPathFactory, given_in: list[bool]) -> None:
    """Environment, NAME_FILE, .env.<APP_ENV>, .env, in this order, whichever of them are there."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "secret").write_text("from-file\n")
    environment, file, overlay, base = given_in
    environ = {"APP_ENV": "staging"} | ({"APP_NAME": "from-environment"} if environment else {})
    if file and not environment:
        environ["APP_NAME_FILE"] = str(folder / "secret")
    (folder / ".env.staging").write_text("APP_NAME=from-overlay\n" if overlay else "")
    (folder / ".env").write_text("APP_NAME=from-base\n" if base else "")
    names = ["from-environment", "from-file", "from-overlay", "from-base"]
    wanted = next((name for name, there in zip(names, given_in, strict=True) if there), None)
    assert Sources(environ, folder).text("APP_NAME") == wanted


@pytest.mark.parametrize("text", ["", " ", "\n", "''", '""', '" "'[:1] * 2])
def test_empty_is_not_set(tmp_path: Path, text: str) -> None:
    """An empty value, also in quotes or of white space, lets the weaker source through."""
    (tmp_path / ".env").write_text("APP_NAME=shop\n")
    assert Sources({"APP_NAME": text}, tmp_path).text("APP_NAME") == "shop"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'shop'", "shop"),
        ('"shop"', "shop"),
        ("  shop \n", "shop"),
        ("'shop", "'shop"),
        ("'a' 'b'", "a' 'b"),
        ("'", "'"),
    ],
)
def test_quotes_and_white_space_are_stripped(written: str, meant: str) -> None:
    """One surrounding pair of quotes goes, and nothing else."""
    assert stripped(written) == meant


def test_a_secret_file_is_read_without_its_newline(tmp_path: Path) -> None:
    """The value is the file's content without the newline that an editor puts there; the origin names the file."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    value = Sources({"WS_TOKEN_FILE": str(file)}, tmp_path).value("WS_TOKEN")
    assert value is not None
    assert (value.text, value.origin) == ("s3cret", f"WS_TOKEN_FILE={file}")


def test_a_secret_file_may_be_named_in_a_file(tmp_path: Path) -> None:
    """NAME_FILE in `.env` is as strong as `.env`, and weaker than NAME in the environment."""
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / ".env").write_text(f"WS_TOKEN_FILE={tmp_path}/token\n")
    assert Sources({}, tmp_path).text("WS_TOKEN") == "s3cret"
    assert problems(tmp_path, {"WS_TOKEN": "other"}) == []


def test_name_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    """Which of the two would win is nobody's guess: it is an error."""
    (tmp_path / "token").write_text("s3cret")
    environ = {"WS_TOKEN": "other", "WS_TOKEN_FILE": str(tmp_path / "token")}
    assert problems(tmp_path, environ) == [("WS_TOKEN", "set-twice", "environment")]


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL", "WS_URL"])
def test_a_url_that_is_set_twice_stops_a_boot_that_bears_an_invalid_one(tmp_path: Path, variable: str) -> None:
    """Either of the two may be right: no fallback takes their place."""
    (tmp_path / "url").write_text("sqlite:///b.db")
    environ = {variable: "sqlite:///a.db", f"{variable}_FILE": str(tmp_path / "url")}
    assert inspect_settings(environ, folder=tmp_path).settings is None


def broken_file(folder: Path, kind: str) -> Path:
    """Return the path of a secret file that cannot be used."""
    path = folder / "secret"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.write_bytes(b"x" * (SECRET_FILE_BYTES + 1))
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "huge", "binary"])
def test_a_secret_file_that_cannot_be_used_is_its_own_problem(tmp_path: Path, kind: str) -> None:
    """Missing, no file, endless, huge, no text: each is told with the pointing variable, and nothing blocks."""
    path = broken_file(tmp_path, kind)
    assert problems(tmp_path, {"WS_TOKEN_FILE": str(path)}) == [("WS_TOKEN_FILE", "unreadable-file", "environment")]


def test_a_secret_file_that_holds_nothing_is_told(tmp_path: Path) -> None:
    """An empty file is not set, as an empty variable; but whoever named it meant to set something."""
    (tmp_path / "token").write_text("\n")
    assert problems(tmp_path, {"WS_TOKEN_FILE": f"{tmp_path}/token"}) == [
        ("WS_TOKEN_FILE", "empty-file", "environment")
    ]
    assert Sources({"WS_TOKEN_FILE": f"{tmp_path}/token"}, tmp_path).text("WS_TOKEN") is None


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    """Some editors of Windows write one in front of the text."""
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    assert Sources({"WS_TOKEN_FILE": f"{tmp_path}/token"}, tmp_path).text("WS_TOKEN") == "s3cret"


@pytest.mark.parametrize("secret", ["Zq9TokenInPlaceOfAPath", "a/Zq9+token==", "postgresql://u:Zq9@h/d", "Zq9\0"])
def test_a_secret_in_place_of_its_path_is_not_shown(tmp_path: Path, secret: str) -> None:
    """Whoever puts the secret itself into NAME_FILE reads that it is no file, and nothing of it."""
    found = inspect_settings({"DATABASE_URL_FILE": secret}, folder=tmp_path).problems
    assert [each.code for each in found] == ["unreadable-file"]
    assert "Zq9" not in repr(found)


@pytest.mark.parametrize("place", ["environment", ".env", "file"])
def test_app_env_may_come_from_anywhere(tmp_path: Path, place: str) -> None:
    """APP_ENV chooses overlay and defaults wherever it is set."""
    (tmp_path / ".env.testing").write_text("APP_NAME=overlaid\n")
    (tmp_path / "env").write_text("testing\n")
    (tmp_path / ".env").write_text("APP_ENV=testing\n" if place == ".env" else "")
    environ = {"environment": {"APP_ENV": "testing"}, ".env": {}, "file": {"APP_ENV_FILE": str(tmp_path / "env")}}[
        place
    ]
    settings = inspect_settings(environ, folder=tmp_path).settings
    assert settings is not None
    assert (settings.app.env, settings.app.name, settings.workers.enabled) == ("testing", "overlaid", False)


def test_an_overlay_cannot_choose_another_overlay(tmp_path: Path) -> None:
    """APP_ENV in the file that APP_ENV chose is ignored, aloud when it differs."""
    (tmp_path / ".env.testing").write_text("APP_ENV=production\n")
    assert problems(tmp_path, {"APP_ENV": "testing"}) == [("APP_ENV", "ignored-environment", ".env.testing:1")]


def test_app_env_dir_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are read from there and not from the working directory; a folder that is not there is an error."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / ".env").write_text("APP_NAME=there\n")
    (tmp_path / ".env").write_text("APP_NAME=here\nLOG_LEVEL=INFO\n")
    monkeypatch.chdir(tmp_path)
    sources = Sources({"APP_ENV_DIR": "conf"})
    assert (sources.text("APP_NAME"), sources.text("LOG_LEVEL")) == ("there", None)
    assert [each.code for each in Sources({"APP_ENV_DIR": "gone"}).problems] == ["missing-folder"]


def test_files_above_the_working_directory_are_found_as_flask_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest .env and .flaskenv upwards are read, with where they are in the origin."""
    (tmp_path / "inner").mkdir()
    (tmp_path / ".env").write_text("APP_NAME=above\n")
    (tmp_path / "inner" / ".flaskenv").write_text("LOG_LEVEL=INFO\nAPP_NAME=weaker\n")
    monkeypatch.chdir(tmp_path / "inner")
    sources = Sources({})
    assert sources.value("APP_NAME") == ("above", "../.env:1")
    assert sources.value("LOG_LEVEL") == ("INFO", ".flaskenv:1")


def test_what_flask_copied_counts_as_coming_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the flask command a copy from .env is weaker than the overlay; what somebody else set is not."""
    (tmp_path / ".env").write_text("APP_ENV=testing\nAPP_NAME=base\nLOG_LEVEL=INFO\n")
    (tmp_path / ".env.testing").write_text("APP_NAME=overlaid\n")
    monkeypatch.chdir(tmp_path)
    copied = {"FLASK_RUN_FROM_CLI": "true", "APP_ENV": "testing", "APP_NAME": "base", "LOG_LEVEL": "ERROR"}
    sources = Sources(copied)
    assert sources.value("APP_NAME") == ("overlaid", ".env.testing:1")
    assert sources.value("LOG_LEVEL") == ("ERROR", "environment")
    assert Sources({**copied, "FLASK_SKIP_DOTENV": "1"}).value("APP_NAME") == ("base", "environment")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("prod", "production"), ("Production", "production"), ("producton", "production"), ("dev", "development"),
     ("test", "testing"), ("stage", "staging"), ("", "development"), ("elsewhere", "development")],
)  # fmt: skip
def test_the_likely_environment_chooses_the_defaults(text: str, meant: str) -> None:
    """A misspelt APP_ENV is an error, and the rest is judged by what was meant."""
    assert likely_environment(text) == meant


def test_a_link_to_nothing_in_the_working_directory_is_told(working_directory: Path) -> None:
    """Where no folder is named, `.env` is looked for as `flask` does, and what cannot be read is told."""
    (working_directory / ".env").symlink_to(working_directory / "gone")
    assert [(each.variable, each.code) for each in Sources({}).problems] == [(".env", "unreadable-env-file")]


def test_only_names_that_are_read_are_held_to_it(tmp_path: Path) -> None:
    """A repeated or half-empty name of ours is a warning; another tool's in the same file is its own affair."""
    (tmp_path / ".env").write_text(
        "OTHER=1\nOTHER=2\nMORE=${GONE}\nLOG_LEVEL=INFO\nLOG_LEVEL=DEBUG\nAPP_NAME=a${GONE}\n"
    )
    assert problems(tmp_path, {}) == [
        ("LOG_LEVEL", "repeated-name", ".env:5"), ("APP_NAME", "empty-expansion", ".env:6")
    ]  # fmt: skip
