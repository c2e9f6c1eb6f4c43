"""What goes wrong with the status routes themselves."""

import re

import pytest

from settings.status.diagnosis import CODES, diagnose, line

URL = "postgresql://app:hunter2@db/shop"


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_row_says_what_to_do(code: str) -> None:
    """Each code is a kebab-case word with a cause and a fix; a password in what is put in is masked."""
    found = diagnose(code, error=URL, path="/status", address="203.0.113.9", file="counter_1.db", what="x")
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", code)
    assert "{" not in found.cause
    assert "hunter2" not in line(found)
    assert f"[{code}]. Fix: {found.fix}" in line(found)
    assert not found.cause.endswith(".")
    assert not found.fix.endswith(".")


def test_an_unknown_code_is_a_defect() -> None:
    """No code is made up on the way."""
    with pytest.raises(KeyError):
        diagnose("no-such-code")
