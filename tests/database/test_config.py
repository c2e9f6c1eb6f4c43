"""The parts of a URL as values."""

from pathlib import Path

import pytest

from settings.database import DatabaseConfig, DatabaseType, DatabaseURLParser


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////a/b.db", Path("/a/b.db")),
        ("sqlite:///b.db", Path("/srv/b.db")),
        ("sqlite:///file:/a%2520b/c.db?uri=true", Path("/a b/c.db")),
        ("sqlite:///file:///a/b.db?uri=true&mode=ro", Path("/a/b.db")),
        ("sqlite:///file://localhost/a/b.db?uri=true", Path("/a/b.db")),
        ("sqlite://", None),
        ("sqlite:///file:x?uri=true&mode=memory", None),
        ("postgresql://h/d", None),
        ("nonsense", None),
    ],
)
def test_file_is_what_sqlite_opens(url: str, file: Path | None) -> None:
    """A path for a file, None for memory and for every other database."""
    assert DatabaseURLParser.parse_url(url, folder=Path("/srv")).file == file


def test_secrets_are_the_password_and_secret_options_decoded() -> None:
    """What a message may not repeat; nothing where there is none."""
    parsed = DatabaseURLParser.parse_url("postgresql://u:a%40b@h/d?sslpassword=c%26d&sslmode=require")
    assert parsed.secrets == {"a@b", "c&d"}
    assert DatabaseURLParser.parse_url("sqlite://").secrets == set()


@pytest.mark.parametrize(
    ("url", "memory"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file::memory:?uri=true", True),
        ("sqlite:///file:x?uri=true&mode=memory&cache=shared", True),
        ("sqlite:///memory", False),
        ("postgresql://h/memory", False),
        ("postgresql://h/:memory:", False),
    ],
)
def test_memory_is_told_from_a_file(url: str, memory: bool) -> None:
    """Only what lives in this process is memory."""
    assert DatabaseURLParser.parse_url(url).is_memory is memory


def test_target_of_an_invalid_url_is_empty() -> None:
    """What cannot be read cannot be masked either, so it is not shown."""
    assert DatabaseURLParser.parse_url("postgresql://u:tail@end@h/d").target == ""


def test_target_names_the_database_without_its_driver() -> None:
    """People wrote postgresql://, and read it again."""
    assert DatabaseURLParser.parse_url("postgresql://u:hidden@h/d").target == "postgresql://u:***@h/d"


def test_repr_says_whether_there_is_a_password() -> None:
    """Masked when there is one, None when there is none; an option of that name is masked too."""
    assert "password=None" in repr(DatabaseURLParser.parse_url("postgresql://u@h/d"))
    assert "password='***'" in repr(DatabaseURLParser.parse_url("postgresql://u:hidden@h/d"))
    given = DatabaseConfig(DatabaseType.POSTGRESQL, "", options={"password": "hidden", "sslpassword": "hidden"})
    assert "hidden" not in repr(given)


def test_only_what_is_wrong_has_a_fix() -> None:
    """A valid URL has neither code nor fix."""
    config = DatabaseURLParser.parse_url("postgresql://h/d")
    assert (config.code, config.fix, config.error_message) == ("", "", "")
