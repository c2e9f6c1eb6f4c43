"""A text without a scheme is answered with what to do, by what it looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.url_advice import advice

KNOWN = ("postgresql", "sqlite", "postgres")
SERVER, FILE = "postgresql://user@host/database", "sqlite:///app.db"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("postgres//db/app", f"begin it with postgres://, as in {SERVER}"),
        ("postgresq:/db/app", f"begin it with postgresql://, as in {SERVER}"),
        ("sqlite:a.db", f"begin it with sqlite://, as in {FILE}"),
        ("sqlite//a.db", f"begin it with sqlite://, as in {FILE}"),
        ("db.example.com:5432/app", f"put postgresql:// in front of it, as in {SERVER}"),
        ("localhost", f"put postgresql:// in front of it, as in {SERVER}"),
        ("db:5432", f"put postgresql:// in front of it, as in {SERVER}"), ("app", f"write {SERVER}"),
        ("app.db", f"write {FILE}"), (":memory:", f"write {FILE}"), ("/srv/app.sqlite3", f"write {FILE}"),
        ("C:\\data\\app", f"write {FILE}"), ("//db/app", f"write {SERVER}"), ("host=h dbname=d", f"write {SERVER}"),
        ("DATABASE_URL=postgresql://h/d", "remove the name and the = in front of it"),
        ("'postgresql://h/d", "remove the quotes, or close what begins with one"),
        ("jdbc:postgresql://h/d", "remove jdbc:, and write user and password in front of the host"),
        ("None", "leave it out, or empty, if it is not wanted"),
        ("$DATABASE_URL", "set it to the value itself: only a shell puts it in the place of $NAME"),
    ],
)  # fmt: skip
def test_each_slip_has_its_own_advice(text: str, fix: str) -> None:
    """A missing sign, host or file, a whole line, quotes, a shell's name: each is told what to write."""
    assert advice(text, KNOWN, SERVER, FILE) == fix


def test_no_file_is_advised_where_there_is_none() -> None:
    """A gateway is no file."""
    assert advice("/srv/gateway", ("wss", "ws"), "wss://h", "") == "write wss://h"


@given(st.from_regex(r"Zq9[a-z0-9@:/?#.=' ]{0,20}", fullmatch=True))
def test_no_part_of_the_text_is_repeated(text: str) -> None:
    """It may be a password that stands where a URL should be."""
    assert "Zq9" not in advice(text, KNOWN, SERVER, FILE)
