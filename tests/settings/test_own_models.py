"""The application's own settings: loaded, checked, shown and exampled like ours."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from settings import RoomSettings, SettingsError, load_settings
from settings.example import example_text, rows
from settings.loading import inspect_settings
from settings.own_models import attribute_of

MODULE = """\
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import SettingsConfigDict
from settings import RoomSettings

class ShippingSettings(RoomSettings):
    '''Where parcels go.'''
    model_config = SettingsConfigDict(env_prefix="SHIPPING_")
    zones: list[int] = Field([1], description="zones that are served")
    url: SecretStr = Field(description="the carrier")

class Foreign(BaseModel):
    pass
"""


class BillingSettings(RoomSettings):
    """What things cost."""

    model_config = SettingsConfigDict(env_prefix="BILLING_")

    currency: str = Field("EUR", min_length=3, max_length=3, description="three letters")
    tax: float = Field(0.19, ge=0, le=1)
    key: SecretStr | None = None


class ClashingSettings(RoomSettings):
    """Wants what is ours."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: str = ""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of an application, which can be imported."""
    name = f"app_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def problems(environ: dict[str, str]) -> list[tuple[str, str]]:
    """Return variable and code of each problem with our model and these variables."""
    found = inspect_settings(environ, folder=Path("/nonexistent"), models=[BillingSettings]).problems
    return [(each.variable, each.code) for each in found]


def test_a_model_is_found_by_its_prefix_and_by_its_type(tmp_path: Path) -> None:
    """`settings.billing` and `settings.of(BillingSettings)` are the same model, the latter with its type."""
    settings = load_settings({"BILLING_CURRENCY": "CHF"}, folder=tmp_path, models=[BillingSettings])
    assert settings.of(BillingSettings).currency == "CHF"
    assert settings.billing is settings.of(BillingSettings)
    assert settings.origin("BILLING_CURRENCY") == "environment"


def test_a_model_that_was_not_loaded_is_told(tmp_path: Path) -> None:
    """Both ways of asking say what there is, or what to do."""
    settings = load_settings({}, folder=tmp_path)
    with pytest.raises(AttributeError, match="billing"):
        _ = settings.billing
    with pytest.raises(KeyError, match="APP_SETTINGS"):
        settings.of(BillingSettings)


def test_its_errors_are_as_good_as_ours() -> None:
    """Wrong values, near misses and _FILE are told by the application's own names."""
    assert problems({"BILLING_TAX": "much", "BILLING_CURENCY": "EUR", "BILLING_KEY_FILE": "/nonexistent/x"}) == [
        ("BILLING_TAX", "invalid-value"), ("BILLING_KEY_FILE", "unreadable-file"), ("BILLING_CURENCY", "near-miss")
    ]  # fmt: skip


def test_it_is_shown_and_exampled(tmp_path: Path) -> None:
    """Its rows stand in `show`, secrets masked, and its block in the example."""
    settings = load_settings({"BILLING_KEY": "Zq9"}, folder=tmp_path, models=[BillingSettings])
    shown = {row.variable: row.value for row in rows(settings)}
    assert (shown["BILLING_CURRENCY"], shown["BILLING_KEY"]) == ("EUR", "***")
    assert "#BILLING_CURRENCY=EUR" in example_text({"billing": BillingSettings})
    assert "Zq9" in settings.secrets


class SealSettings(RoomSettings):
    """Has both, and means both."""

    model_config = SettingsConfigDict(env_prefix="SEAL_")

    key: str = "none"
    key_file: Path | None = None


def test_a_field_called_file_is_a_field(tmp_path: Path) -> None:
    """Where NAME_FILE is a setting of its own, it is not the file that holds NAME."""
    environ = {"SEAL_KEY": "k", "SEAL_KEY_FILE": "/nonexistent/seal.pem"}
    seal = load_settings(environ, folder=tmp_path, models=[SealSettings]).of(SealSettings)
    assert (seal.key, seal.key_file) == ("k", Path("/nonexistent/seal.pem"))
    environ.pop("SEAL_KEY")
    assert load_settings(environ, folder=tmp_path, models=[SealSettings]).of(SealSettings).key == "none"


def test_app_settings_names_models(module: str, tmp_path: Path) -> None:
    """`module:Class` is imported; lists are read as JSON or between commas."""
    environ = {
        "APP_SETTINGS": f"{module}:ShippingSettings",
        "SHIPPING_URL": "https://u:Zq9@c",
        "SHIPPING_ZONES": "1, 2",
    }
    shipping = load_settings(environ, folder=tmp_path).own["shipping"]
    assert shipping.model_dump()["zones"] == [1, 2]
    shipping = load_settings(environ | {"SHIPPING_ZONES": "[3]"}, folder=tmp_path).own["shipping"]
    assert shipping.model_dump()["zones"] == [3]


def test_a_value_without_a_default_is_required(module: str, tmp_path: Path) -> None:
    """A missing value is a problem of its variable, beside the model's other problems."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"APP_SETTINGS": f"{module}:ShippingSettings", "SHIPPING_ZONES": "x"}, folder=tmp_path)
    assert {(each.variable, each.code) for each in caught.value.problems} >= {("SHIPPING_URL", "missing-value")}
    assert len({each.variable for each in caught.value.problems}) == 2


@pytest.mark.parametrize("name", ["nowhere:X", "{module}:Missing", "{module}:Foreign", "{module}", ":", "a b:c"])
def test_what_cannot_be_used_is_a_problem(module: str, name: str) -> None:
    """A module that is not there, a name that is not in it, a class that is no RoomSettings."""
    assert problems({"APP_SETTINGS": name.format(module=module)}) == [("APP_SETTINGS", "unknown-model")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere_at_all:X", "nowhere_at_all:X cannot be imported: there is no module nowhere_at_all"),
        ("{module}:ShipingSettings", "did you mean ShippingSettings?"), ("{module}:Foreign", "is no RoomSettings"),
        ("{module}", "names no class of {module}"), ("Zq9/s3cret=:x", "the value cannot be imported"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_name_is_told(module: str, name: str, message: str) -> None:
    """The module that is not there, the class that was meant; and not what can be no name."""
    environ = {"APP_SETTINGS": name.format(module=module)}
    [problem] = inspect_settings(environ, folder=Path("/nonexistent")).problems
    assert message.format(module=module) in problem.message
    assert "Zq9" not in problem.message


def test_a_module_that_leaves_does_not_end_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.exit()` in the application's module would end `check` in silence, and with the status of success."""
    (tmp_path / "app_that_leaves.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert problems({"APP_SETTINGS": "app_that_leaves:X"}) == [("APP_SETTINGS", "unknown-model")]


def test_a_module_that_fails_does_not_end_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the application's code raises while it is imported is one problem, without its words."""
    (tmp_path / "app_that_fails.py").write_text("raise RuntimeError('Zq9')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    inspection = inspect_settings({"APP_SETTINGS": "app_that_fails:X"}, folder=tmp_path)
    assert [each.code for each in inspection.problems] == ["unknown-model"]
    assert "Zq9" not in repr(inspection.problems)


def test_a_model_cannot_take_our_names(tmp_path: Path) -> None:
    """Two models with one variable would each see the other's value."""
    found = inspect_settings({}, folder=tmp_path, models=[ClashingSettings]).problems
    assert [(each.variable, each.code) for each in found] == [("APP_SETTINGS", "model-clash")]


def test_the_attribute_is_the_prefix() -> None:
    """BILLING_ is found at `services.settings.billing`."""
    assert attribute_of(BillingSettings) == "billing"
