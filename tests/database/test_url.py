"""`DATABASE_URL` parsed: never raises, never lies, and what is valid is what SQLAlchemy and the driver open."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.database import DatabaseType, DatabaseURLParser, ValidationResult
from tests.database.url_texts import WORD

INVALID = [
    ("", "empty-url"),
    ("   ", "empty-url"),
    ("h/d", "malformed-url"),
    ("postgresql:/h/d", "malformed-url"),
    ("://h/d", "malformed-url"),
    ("mysql://h/d", "unknown-scheme"),
    ("postgresqls://h/d", "unknown-scheme"),
    ("postgresql+asyncpg://h/d", "unknown-driver"),
    ("sqlite+aiosqlite:///a.db", "unknown-driver"),
    ("postgresql://h", "missing-database"),
    ("postgresql://h/", "missing-database"),
    ("postgresql://u:Pa@ssTail@db/app", "unescaped-character"),
    ("postgresql://u@h?x@y/d", "unescaped-character"),
    ("postgresql://h:70000/d", "invalid-port"),
    ("postgresql://h:0/d", "invalid-port"),
    ("postgresql://h:54x2/d", "invalid-port"),
    ("postgresql://h:-1/d", "invalid-port"),
    ("postgresql://h1:1,h2:2,h3/d?host=a,b", "invalid-host"),
    ("postgresql://::1/d", "invalid-host"),
    ("postgresql://a[::1]/d", "invalid-host"),
    ("postgresql://[::1/d", "invalid-host"),
    ("postgresql://h a/d", "invalid-host"),
    ("postgresql:///d?host=h1:1,h2:2", "invalid-host"),
    ("postgresql:///d?host=h%20a", "invalid-host"),
    ("postgresql://h:5432/d?host=h1,h2", "invalid-port"),
    ("postgresql:///d?host=a,b,c&port=1,2", "invalid-port"),
    ("postgresql://h/d?foo=1", "unknown-option"),
    ("postgresql://h/d?sslmode=maybe", "invalid-option"),
    ("postgresql://h/d?connect_timeout=soon", "invalid-option"),
    ("postgresql://h/d?sslmode=require&sslmode=disable", "repeated-option"),
    ("postgresql://h/%ff", "invalid-encoding"),
    ("postgresql://h/a%00b", "invalid-encoding"),
    ("postgresql://h/a\x00b", "invalid-character"),
    ("postgresql://h/a\nb", "invalid-character"),
    ("sqlite://app.db", "invalid-path"),
    ("sqlite://host/app.db", "invalid-path"),
    ("sqlite:///file:app.db", "invalid-path"),
    ("sqlite:///app.db?uri=true", "invalid-path"),
    ("sqlite:///?uri=true", "missing-database"),
    ("sqlite:///app.db?mode=ro", "unknown-option"),
    ("sqlite:///app.db?timeout=soon", "invalid-option"),
    ("sqlite:///file:app.db?uri=true&mode=write", "invalid-option"),
    ("sqlite:///file:app.db?uri=true&moed=ro", "unknown-option"),
    ("sqlite:///file://host/app.db?uri=true", "invalid-path"),
    ("sqlite:///app.db?isolation_level=NONE", "invalid-option"),
    ("sqlite:///app.db?check_same_thread=maybe", "invalid-option"),
    ("sqlite:///file:a%3Fb?uri=true", "invalid-path"),
    ("sqlite:///file:a%23b?uri=true", "invalid-path"),
]


@pytest.mark.parametrize(("url", "code"), INVALID)
def test_invalid_url_is_refused_with_code_cause_and_fix(url: str, code: str) -> None:
    """The verdict names what is wrong and what to write, and nothing secret."""
    verdict = DatabaseURLParser.validate_url(url)
    assert (verdict.is_valid, verdict.code) == (False, code)
    assert verdict.error_message
    assert verdict.fix
    assert "ssTail" not in repr(verdict) + repr(DatabaseURLParser.parse_url(url))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///C:\\app.db", "Windows path"),
        ("sqlite:///~/app.db", "~ is not expanded"),
        ("sqlite:///folder/", "names a folder"),
        ("postgresql://u:a/b@h/d", "percent-encoded"),
        ("postgresql://u:s3k%zz@h/d", "percent-encoded"),
        ("postgresql://u:s3k:r@h/d", "percent-encoded"),
        ("postgresql://u:s3k#r@h/d", "percent-encoded"),
        ("postgresql://u:a b@h/d", "percent-encoded"),
        ("postgresql://u:p@h/d#part", "database's name"),
        ("postgresql://h/d?connect_timeout=0", "waits without end"),
    ],
)
def test_what_is_seldom_meant_is_a_warning(url: str, words: str) -> None:
    """It is valid, and said."""
    verdict = DatabaseURLParser.validate_url(url)
    assert verdict.is_valid
    assert words in " ".join(verdict.warnings)


@pytest.mark.parametrize("url", ["sqlite:///app.db", "sqlite:///:memory:", "postgresql://u:p@h:5432/d"])
def test_what_is_usual_is_valid_without_a_word(url: str) -> None:
    """Neither error nor warning nor fix."""
    assert DatabaseURLParser.validate_url(url) == ValidationResult(True, "", (), "", "") == ValidationResult(True)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgres://x", DatabaseType.POSTGRESQL),
        (" POSTGRESQL+asyncpg://x", DatabaseType.POSTGRESQL),
        ("sqlite://", DatabaseType.SQLITE),
        ("sqlite:////postgresql-data/a.db", DatabaseType.SQLITE),
        ("mysql://x", DatabaseType.UNKNOWN),
        ("", DatabaseType.UNKNOWN),
        ("postgresql", DatabaseType.UNKNOWN),
    ],
)
def test_type_is_what_the_scheme_says(url: str, kind: DatabaseType) -> None:
    """By the scheme's pattern, not by a word somewhere in the URL."""
    assert DatabaseURLParser.detect_database_type(url) is kind


@pytest.mark.parametrize("url", [None, 3, b"postgresql://h/d", ["x"]])
def test_what_is_no_text_is_invalid(url: str) -> None:
    """Nor does it raise."""
    assert DatabaseURLParser.detect_database_type(url) is DatabaseType.UNKNOWN
    assert not DatabaseURLParser.parse_url(url).is_valid


def test_repr_masks_every_secret() -> None:
    """Password and secret options are the URL's own, and never in a repr."""
    config = DatabaseURLParser.parse_url("postgresql://u:hidden%40word@h/d?sslpassword=alsohidden")
    assert config.password == "hidden@word"
    assert "hidden%40word" in config.connection_string
    assert "hidden" not in repr(config) + str(config) + config.target


@given(st.text(max_size=60) | st.builds(lambda a, b: f"{a}://{b}", st.text(max_size=8), st.text(max_size=40)))
def test_parser_raises_nothing(text_of_it: str) -> None:
    """Whatever the text: a verdict, and a repr."""
    config = DatabaseURLParser.parse_url(text_of_it)
    assert config.is_valid or config.error_message
    assert repr(config)
    DatabaseURLParser.detect_database_type(text_of_it)


@given(WORD.filter(lambda word: len(word) > 3))
def test_password_is_in_no_text_but_the_real_url(password: str) -> None:
    """Neither encoded nor decoded: not in repr, target, verdict, or the error of a broken URL."""
    secret = f"Zq{password}qZ"
    for where in ("h/d", "h:x/d", "h/", "h/d?foo=1"):
        url = f"postgresql://u:{quote(secret, safe='')}@{where}"
        config = DatabaseURLParser.parse_url(url)
        shown = repr(config) + config.target + repr(DatabaseURLParser.validate_url(url))
        assert secret not in shown
        assert quote(secret, safe="") not in shown
