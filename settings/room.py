"""What every room's settings model shares: one prefix, frozen, bounded, and errors that carry their fix."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from settings.explain import explained, secrets_in, shown, surprised
from settings.fields import is_secret, parts_of
from settings.problems import Problem, SettingsError


def wrong(code: str, message: str, fix: str) -> PydanticCustomError:
    """Return the error that a validator raises: stable code, what is wrong (masked), and what to do."""
    return PydanticCustomError(code, "{message}", {"message": message, "fix": fix})


def checked_token(value: SecretStr | None) -> SecretStr | None:
    """Return a token that an Authorization header can carry: no line's end and no control character (RFC 9110, 5.5).

    Raises:
        PydanticCustomError: With the code `invalid-character`.
    """
    if value is not None and not value.get_secret_value().isprintable():
        message = "it holds a line's end or another character that no header can carry"
        raise wrong("invalid-character", message, "remove it; `openssl rand -hex 32` prints a token without one")
    return value


def _alias(info: FieldInfo | None) -> str | None:
    alias = None if info is None else info.validation_alias
    return alias if isinstance(alias, str) else None


class RoomSettings(BaseSettings):
    """Settings of one room: `env_prefix` and a field's name make the variable (`WS_` and `url`: `WS_URL`).

    A model is built from the values it is given and reads no environment itself: `load_settings` knows the
    sources and their order, and says of each value where it came from. An application's own model is a subclass
    with a prefix of its own; it is checked, shown and exampled like ours.

    Raises:
        SettingsError: With every problem of the model; pydantic's own error would hold the values, secrets too.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, allow_inf_nan=False,
        populate_by_name=True,
    )  # fmt: skip
    derived: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({})
    """Field to (variable, template): the default that comes from another variable, such as `{}:` of APP_NAME."""

    def __init__(self, **values: Any) -> None:
        found: list[Problem] = []
        try:
            guarded: dict[str, Any] = {name: self._guarded(name, value) for name, value in values.items()}
            super().__init__(**guarded)
        except ValidationError as error:
            found = self._problems(error.errors(include_url=False))
        except Exception as error:  # noqa: BLE001 - a validator of the application's may raise anything
            found = [surprised(type(self).__name__, error)]
        if found:  # raised here, where no other exception stands behind it
            raise SettingsError(found)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what `repr` and `str` show: a text that is secret by its field's name is masked as a SecretStr is."""
        for name, value in super().__repr_args__():
            info = type(self).model_fields.get(name or "")
            hidden = info is not None and not hasattr(value, "get_secret_value") and secrets_in(str(name), info, value)
            yield name, shown(value, secret=is_secret(str(name), info)) if hidden and info is not None else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the given values only."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings  # `load_settings` reads these
        return (init_settings,)

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the environment variable of a field: prefix and name, or its alias as it is, as pydantic has it."""
        alias = _alias(cls.model_fields.get(field))
        return (alias or f"{cls.model_config.get('env_prefix', '')}{field}").upper()

    @classmethod
    def defaults_in(cls, environment: str) -> dict[str, Any]:
        """Return the defaults that differ in an environment (development, testing, staging, production)."""
        del environment  # most rooms have the same defaults everywhere
        return {}

    @classmethod
    def _guarded(cls, name: str, value: object) -> object:
        """Wrap the text of a secret field, so that no log or error of a library shows it."""
        info = cls.model_fields.get(name)
        return (
            SecretStr(value) if info is not None and isinstance(value, str) and SecretStr in parts_of(info) else value
        )

    @classmethod
    def _problems(cls, details: Iterable[ErrorDetails]) -> list[Problem]:
        found: dict[tuple[str, str], Problem] = {}
        aliases = {_alias(info): field for field, info in cls.model_fields.items()}
        for detail in details:
            given = str(detail["loc"][0]) if detail["loc"] else ""
            field = aliases.get(given, given)
            info = cls.model_fields.get(field)
            secret = info is not None and is_secret(field, info)
            problem = explained(cls.variable(field) if info else cls.__name__, info, detail, secret=secret)
            found.setdefault((problem.variable, problem.message), problem)
        return list(found.values())
