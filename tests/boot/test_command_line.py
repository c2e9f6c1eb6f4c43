"""Which flask command runs is read from the words behind the program's name."""

import pytest

from settings.boot.command_line import LEFT_ALONE, address_to_open, flask_command


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("run", "run"),
        ("--app wsgi run --debug", "run"),
        ("-A wsgi:app --debug shell", "shell"),
        ("--env-file .env.production db upgrade", "db"),
        ("--app=wsgi bootstrap migrate --check", "bootstrap"),
        ("--debug", None),
        ("", None),
    ],
)
def test_the_command_is_the_first_word_that_is_no_option(words: str, command: str | None) -> None:
    """Options with a value of their own do not hide it."""
    assert flask_command(words.split()) == command


def test_outside_of_flask_there_is_no_command() -> None:
    """Pytest is no flask command, so a boot here is a full one."""
    assert flask_command() is None
    assert address_to_open() is None


def test_commands_that_decide_for_themselves_are_known() -> None:
    """The contract names these four."""
    assert {"bootstrap", "db", "shell", "routes"} == LEFT_ALONE
