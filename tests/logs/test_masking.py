"""No secret and no control character gets through."""

import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from settings.logs.masking import Masker, harmless, text_of
from settings.problems import mask_secrets

texts = st.text(st.characters(codec="utf-8"), max_size=30)


@given(texts, st.text(st.characters(codec="utf-8"), min_size=4, max_size=20), texts)
def test_no_masked_text_contains_the_secret(before: str, secret: str, after: str) -> None:
    """Whatever stands around it, in each of its spellings."""
    masker = Masker([secret, ""])
    for spelling in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        masked = masker(f"{before}<{spelling}>{after}")
        assert secret not in masked.replace("***", "") or secret in (before + after + "<>")


@pytest.mark.parametrize("secret", ['caf\u00e9/au "lait"', 'it\'s \\ "both"', "a+b c%d/e?f&g"])
def test_a_secret_is_masked_however_it_is_written(secret: str) -> None:
    """As bytes, ASCII, JSON, in a URL in either case, and quoted twice as an error in an error is."""
    lower = re.sub("%..", lambda found: found.group().lower(), quote(secret, safe=""))
    written = [str(secret.encode()), ascii(secret), json.dumps(secret), lower, repr([repr({"key": secret})])]
    masked = Masker([secret])(" ".join(written))
    assert masked.count("***") == len(written)


@pytest.mark.parametrize("password", ["correct horse/battery", "a+b c%d@e", "caf\u00e9 + lait:"])
def test_a_password_is_masked_as_sqlalchemy_writes_it(password: str) -> None:
    """An application's own line shows the URL of the engine, or of its configuration."""
    url = URL.create("postgresql", "shop", password, "db", 5432, "shop").render_as_string(hide_password=False)
    assert Masker([password])(f"at {url}") == "at postgresql://shop:***@db:5432/shop"
    assert mask_secrets(f"at {url}", [password]) == "at postgresql://shop:***@db:5432/shop"


def test_each_line_of_a_secret_counts() -> None:
    """A traceback of a group indents the lines of a private key; its short ones are no secret."""
    masker = Masker(["-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nab\n"])
    assert masker("  | -----BEGIN KEY-----\n  | MIIEvQIBADANBgkq\n  | ab") == "  | ***\n  | ***\n  | ab"


def test_numbers_stay_numbers_unless_they_are_secret() -> None:
    """A password of digits may be bound as a number; one with more digits than Python writes is told so."""
    masker = Masker(["12345678901234"])
    assert masker.plain([7, 1.5, True, 12345678901234]) == [7, 1.5, True, "***"]
    assert masker.plain(10**5000) == "<int that cannot be printed: ValueError>"


@given(texts)
def test_what_is_harmless_is_one_line(text: str) -> None:
    """It has no line break of any kind and no escape, and is harmless already."""
    shown = harmless(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert harmless(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\x00", r"a\nb\r\x00"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m \x85 \u2028", r"\x9b31m \x85 \u2028"),
        ("\u202eevil", r"\u202eevil"),
        ("\u061cevil", r"\u061cevil"),
        ("\ud800", r"\ud800"),
        ("tab\tstays, ü too", "tab\tstays, ü too"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text: str, shown: str) -> None:
    """Each is written as Python writes it; only colours vanish."""
    assert harmless(text) == shown


def test_passwords_of_urls_are_masked_without_being_known() -> None:
    """A URL that somebody else's exception quotes is masked too."""
    assert Masker()("at redis://:pw@host/0?password=other") == "at redis://:***@host/0?password=***"


def test_containers_are_masked_to_their_leaves_and_keys() -> None:
    """Plain values stay what they are; an endless structure ends."""
    endless: list[object] = []
    endless.append(endless)
    masker = Masker(["hunter2"])
    given = {"hunter2": 1, "list": ["hunter2", 2.5, None, True], "set": {"hunter2"}, 3: object}
    assert masker.plain(given) == {
        "***": 1, "list": ["***", 2.5, None, True], "set": ["***"], "3": "<class 'object'>"
    }  # fmt: skip
    assert "[[[" in json.dumps(masker.plain(endless))


def test_what_cannot_be_printed_is_named() -> None:
    """Its type and the failure are told."""

    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert text_of(Broken()) == "<Broken that cannot be printed: ZeroDivisionError>"


def test_the_repr_shows_no_secret() -> None:
    """A masker in a traceback gives nothing away."""
    assert "hunter2" not in repr(Masker(["hunter2"]))
