"""Masking, and errors that travel."""

import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.problems import (
    BootstrapError,
    Diagnosis,
    Problem,
    SettingsError,
    mask_secrets,
    mask_url,
    mask_urls,
    url_secrets,
)

WORD = st.text(st.sampled_from("abcXYZ019!$*()_+-=~^|"), min_size=1, max_size=12).map(lambda text: f"Zq9{text}9qZ")


@given(WORD, st.sampled_from(["", " and ", "'", '"']), st.sampled_from(["redis", "postgresql+psycopg2", "ws"]))
def test_no_password_is_left_in_a_text(secret: str, around: str, scheme: str) -> None:
    """A URL's password is masked wherever in a text the URL stands; user and host stay readable."""
    masked = mask_urls(f"to {around}{scheme}://app:{secret}@h:1/0{around} it went")
    assert masked == f"to {around}{scheme}://app:***@h:1/0{around} it went"


@given(
    WORD,
    st.sampled_from(
        ["password", "token", "access_token", "api_key", "X-Amz-Signature", "auth", "jwt", "key", "sig", "code"]
    ),
)
def test_no_secret_option_is_left(secret: str, name: str) -> None:
    """A secret query parameter is masked, and the others are not."""
    assert mask_urls(f"https://h/p?a=1&{name}={secret}&b=2") == f"https://h/p?a=1&{name}=***&b=2"


@given(st.text(min_size=1, max_size=20).map(lambda text: f"Zq9{text}9qZ"))
def test_one_url_hides_whatever_it_holds(secret: str) -> None:
    """Of a text that is one URL nothing of the password is left, encoded or not."""
    assert "9qZ" not in mask_url(f"redis://:{secret}@h/0")
    assert "9qZ" not in mask_url(f"postgresql://h/d?password={secret}")


@given(st.text(st.characters(exclude_categories=()), min_size=4, max_size=20))
def test_a_known_secret_is_masked_in_each_spelling(secret: str) -> None:
    """As it is, percent-encoded, and as Python shows it."""
    assert secret not in mask_secrets(f"<{secret}>", [secret]).replace("***", "")


def test_the_secrets_of_a_url_are_its_password_and_options() -> None:
    """Written and meant: a log may hold either."""
    assert url_secrets("redis://u:a%40b@h/0?token=c%2Fd") == {"a%40b", "a@b", "c%2Fd", "c/d"}
    assert url_secrets("plain") == {"plain"}


def test_nothing_of_a_gateways_query_is_shown() -> None:
    """A gateway may call its secret anything, or nothing; what can be a secret is known as one."""
    url = "wss://gw.example.com/s?k=hUnTeR2hUnTeR2&v=1"
    assert mask_url(url) == "wss://gw.example.com/s?k=***"
    assert mask_url("ws://h/s?hUnTeR2&v=1") == "ws://h/s?***"
    assert url_secrets(url) == {"hUnTeR2hUnTeR2"}


def test_what_a_server_takes_for_a_kind_of_password_is_no_password() -> None:
    """The option `require_auth` of libpq names a method, and is readable."""
    assert mask_url("postgresql://h/d?require_auth=scram-sha-256") == "postgresql://h/d?require_auth=scram-sha-256"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://Zq9@h/0", "redis://***@h/0"), ("REDISS://Zq9@h", "REDISS://***@h"), ("unix://Zq9@/s", "unix://***@/s"),
        ("wss://Zq9@h/x", "wss://***@h/x"), ("https://Zq9@github.com/a", "https://***@github.com/a"),
        ("postgresql://app@h/d", "postgresql://app@h/d"), ("redis://h/a@b", "redis://h/a@b"),
    ],
)  # fmt: skip
def test_a_name_in_place_of_a_password_is_masked(url: str, masked: str) -> None:
    """Who forgets the colon writes the password as a name; the user of a database is one."""
    assert mask_url(url) == masked
    assert url_secrets(url) == ({"Zq9"} if "Zq9" in url else set())


@pytest.mark.parametrize("around", ["{}", "write {} or another", "'{}'"])
def test_advice_can_be_read(around: str) -> None:
    """The place of a password in our own examples is none, and nothing can hide behind it."""
    advice = around.format("postgresql://user:<password>@host:5432/database")
    assert mask_urls(advice) == advice
    assert "Zq9" not in mask_urls(around.format("postgresql://user:<password>@Zq9@host/d"))
    assert "Zq9" not in mask_url("postgresql://user:<password>@ Zq9@host/d")


@pytest.mark.parametrize("text", ["sqlite:", "REDIS:/", "postgresql+psycopg2:", "postgresql"])
def test_a_scheme_alone_is_no_secret(text: str) -> None:
    """Where no more than a scheme was written, the sentence that explains it must stay readable."""
    assert url_secrets(text) == set()


def test_errors_travel_between_processes() -> None:
    """A pickled error says the same."""
    problem = Problem("WS_URL", "error", "missing-host", "it names no host", "write wss://h", ".env:3")
    for error in (SettingsError([problem]), BootstrapError("WS_URL", "wss://h", Diagnosis("x", "refused", "start it"))):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_report_is_readable() -> None:
    """Variable first, then what is wrong, then an indented fix; the repr names variables and codes."""
    error = SettingsError([Problem("WS_URL", "error", "missing-host", "it names no host", "write wss://h", ".env:3")])
    assert (
        str(error) == "1 invalid setting\nWS_URL: it names no host [missing-host, from .env:3]\n    fix: write wss://h"
    )
    assert repr(error) == "SettingsError(WS_URL: missing-host)"


@pytest.mark.parametrize("piece", ["a", "a.", "a://", "://a:", "a@", "?password", "?a", "'", "a:"])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    """A text that others have made, of any shape, holds nobody up: its cost grows with its length only."""
    text = piece * (100_000 // len(piece))
    begin = time.process_time()
    mask_urls(text)
    assert time.process_time() - begin < 5  # a pattern that begins anew at each letter takes minutes


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:pw@h and ws://u:p@w@h", "redis://:***@h and ws://u:***@h"),
        ("at 9redis://u:pw@h", "at 9redis://u:***@h"),
        ("a://b:c://d:pw@h", "a://b:***@h"),
        ("a://'b://c':pw@h", "a://'b://c':***@h"),
        ("a://b:c d@e", "a://b:c d@e"),
    ],
)
def test_every_url_of_a_text_is_found(text: str, masked: str) -> None:
    """Several URLs, an @ in a password, one URL in another; what is behind a space belongs to none."""
    assert mask_urls(text) == masked


def test_a_secret_of_other_bytes_is_masked() -> None:
    """The environment may hold bytes that are no UTF-8; they stop no boot, and are not shown."""
    assert mask_secrets("with caf\udce9-au-lait", ["caf\udce9-au-lait"]) == "with ***"


@pytest.mark.parametrize("text", ["", "no URL", "a@b", "http://h/p?x=1", "//h"])
def test_what_holds_no_secret_is_left_alone(text: str) -> None:
    """Masking changes nothing else."""
    assert mask_urls(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql+psycopg2 says: role postgres", "postgresql+psycopg2 says: role ***"),
        ("SETTINGS: 'S' is refused", "SETTINGS: '***' is refused"),
        ("REDIS_URL and S", "REDIS_URL and ***"),
        ("xlong-enough-to-be-a-secretx", "x***x"),
    ],
)
def test_a_short_secret_takes_no_word_apart(text: str, masked: str) -> None:
    """A password that is a common word, or a single letter, is masked where it stands alone."""
    assert mask_secrets(text, ["postgres", "S", "long-enough-to-be-a-secret"]) == masked
