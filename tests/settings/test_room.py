"""What every model of settings does: one prefix, no secrets, errors with a fix."""

import logging
import pickle
import traceback
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from settings import RoomSettings, SettingsError, load_settings
from settings.loading import inspect_settings
from settings.status.model import StatusSettings
from settings.websocket.model import WebSocketSettings


class DoorSettings(RoomSettings):
    """A model of an application."""

    model_config = SettingsConfigDict(env_prefix="DOOR_")

    key: SecretStr | None = None
    height: int = Field(2, ge=1, le=9)
    width: int = 1

    @model_validator(mode="after")
    def _fits(self) -> "DoorSettings":
        if self.width > self.height:
            raise ValueError("it is wider than high")
        return self


def test_a_variable_is_prefix_and_field() -> None:
    """One grep for the variable's name finds its room."""
    assert DoorSettings.variable("height") == "DOOR_HEIGHT"


class GateSettings(RoomSettings):
    """A model with a name of somebody else's."""

    model_config = SettingsConfigDict(env_prefix="GATE_")

    key: SecretStr | None = Field(None, validation_alias="stripe_key")
    size: int = Field(1, alias="STRIPE_SIZE")


def test_an_alias_is_the_variable(tmp_path: Path) -> None:
    """What pydantic reads by another name is read, told and secret by that name here too."""
    environ = {"STRIPE_KEY": "Zq9", "STRIPE_SIZE": "3"}
    settings = load_settings(environ, folder=tmp_path, models=[GateSettings])
    gate = settings.of(GateSettings)
    assert (gate.key is not None and gate.key.get_secret_value(), gate.size) == ("Zq9", 3)
    assert "Zq9" in settings.secrets
    found = inspect_settings({"STRIPE_SIZE": "x", "STRIPE_KEYS": "y"}, folder=tmp_path, models=[GateSettings]).problems
    assert [(each.variable, each.code) for each in found] == [
        ("STRIPE_SIZE", "invalid-value"), ("STRIPE_KEYS", "near-miss")
    ]  # fmt: skip


def test_the_environment_is_not_read_by_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model holds what it is given: `load_settings` knows the sources."""
    monkeypatch.setenv("DOOR_HEIGHT", "7")
    assert DoorSettings().height == 2


def test_every_wrong_value_is_a_problem() -> None:
    """Two wrong values are two problems with variable, code and fix."""
    with pytest.raises(SettingsError) as caught:
        DoorSettings(height="tall", width="30 cm")
    assert [(each.variable, each.code) for each in caught.value.problems] == [
        ("DOOR_HEIGHT", "invalid-value"), ("DOOR_WIDTH", "invalid-value")
    ]  # fmt: skip
    assert "DOOR_HEIGHT=2" in caught.value.problems[0].fix


def test_a_check_between_fields_keeps_its_words() -> None:
    """What a validator of the application says is the message."""
    with pytest.raises(SettingsError) as caught:
        DoorSettings(width=5)
    assert [each.message for each in caught.value.problems] == ["it is wider than high"]


def test_a_problem_between_fields_says_where_they_were_set(tmp_path: Path) -> None:
    """It has no variable of its own, so that every place that set one of the model's is told, once."""
    (tmp_path / ".env").write_text("DOOR_WIDTH=5\n")
    environ = {"DOOR_HEIGHT": "3", "DOOR_KEY": "Zq9"}
    [problem] = inspect_settings(environ, folder=tmp_path, models=[DoorSettings]).problems
    assert (problem.variable, problem.source) == ("DoorSettings", "environment, .env:1")


def test_no_error_holds_a_secret() -> None:
    """Neither text, repr, traceback nor pickle of the error holds what was given."""
    secret = "9qZ"[::-1] + "Secret"  # a traceback quotes the line that failed
    with pytest.raises(SettingsError) as caught:
        DoorSettings(key=secret, height="tall")
    error = caught.value
    said = [str(error), repr(error), *traceback.format_exception(error), str(pickle.loads(pickle.dumps(error)))]
    assert "Zq9" not in "".join(said)
    assert (error.__context__, error.__cause__) == (None, None)


def test_pydantics_own_debugging_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """PYDANTIC_SETTINGS_DEBUG logs what a model is made of, and there a secret is masked already."""
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    with caplog.at_level(logging.DEBUG):
        DoorSettings(key="Zq9Secret")
    assert "DoorSettings" in caplog.text
    assert "Zq9" not in caplog.text


class SafeSettings(RoomSettings):
    """A model whose secrets are plain texts."""

    api_key: str = "Zq9key"
    tokens: list[str] = ["Zq9token"]  # noqa: RUF012 - pydantic copies it
    pairs: dict[str, str] = {"password": "Zq9pair"}  # noqa: RUF012 - pydantic copies it
    carrier: str = "https://u:Zq9url@carrier.example.com/"
    size: int = 3


def test_no_repr_shows_a_secret() -> None:
    """Plain texts that are secret by their name, and passwords of URLs, are masked where a model is printed."""
    safe = SafeSettings()
    for said in (repr(safe), str(safe), f"{[safe]}"):
        assert "Zq9" not in said
        assert "carrier.example.com" in said
        assert "size=3" in said
    assert repr(DoorSettings(key="Zq9")) == "DoorSettings(key=SecretStr('**********'), height=2, width=1)"


def test_models_are_frozen() -> None:
    """Nobody changes a setting after the boot."""
    with pytest.raises(ValueError, match="frozen"):
        DoorSettings().height = 3  # type: ignore[misc] # that it is refused is what is shown


class RoofSettings(RoomSettings):
    """A model whose own check is not careful."""

    model_config = SettingsConfigDict(env_prefix="ROOF_")

    tiles: str = "red"

    @field_validator("tiles")
    @classmethod
    def _known(cls, value: str) -> str:
        return {"red": "red", "blue": "blue"}[value]


def test_a_check_that_fails_in_another_way_is_a_problem_too() -> None:
    """A validator may raise anything: it is told which model and where, and none of its words."""
    secret = "9qZ"[::-1]  # a traceback quotes the line that failed
    with pytest.raises(SettingsError) as caught:
        RoofSettings(tiles=secret)
    [problem] = caught.value.problems
    assert (problem.variable, problem.code) == ("RoofSettings", "failed-check")
    assert "KeyError in _known, line " in problem.message
    assert "Zq9" not in "".join(traceback.format_exception(caught.value))


def test_another_rooms_problems_are_told_beside_it(tmp_path: Path) -> None:
    """One model that cannot be built hides nothing of the others."""
    found = inspect_settings({"ROOF_TILES": "x", "LOG_LEVEL": "LOUD"}, folder=tmp_path, models=[RoofSettings])
    assert {(each.variable, each.code) for each in found.problems} == {
        ("RoofSettings", "failed-check"), ("LOG_LEVEL", "unknown-choice")
    }  # fmt: skip
    assert found.settings is None


@pytest.mark.parametrize("model", [WebSocketSettings, StatusSettings])
@pytest.mark.parametrize("token", ["Zq9\nX-Admin: 1", "Zq9\0", "Zq9\u200b"])
def test_a_token_that_no_header_carries_is_refused(model: type[RoomSettings], token: str) -> None:
    """A secret file of two lines would end the header, and what cannot be seen never match."""
    with pytest.raises(SettingsError) as caught:
        model(token=token)
    [problem] = caught.value.problems
    assert (problem.variable, problem.code) == (model.variable("token"), "invalid-character")
    assert "Zq9" not in str(problem)
    assert model(token="correct horse+battery/staple==") is not None
