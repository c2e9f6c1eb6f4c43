"""Options and percent-encoding of a URL, read strictly."""

import pytest

from settings.database.config import UnusableURLError
from settings.database.url_options import decoded, each_once, read_options


def _code_of(work: object, *arguments: object) -> str:
    assert callable(work)
    with pytest.raises(UnusableURLError) as caught:
        work(*arguments)
    return caught.value.code


def test_percent_encoding_is_undone_once() -> None:
    """A plus stays a plus, an encoded percent sign is one, and a lone one is left."""
    assert decoded("a%20b+c%2525%", "path") == "a b+c%25%"


@pytest.mark.parametrize("text", ["%ff", "%c3%28", "a%00"])
def test_what_no_driver_takes_is_refused(text: str) -> None:
    """No UTF-8, or a NUL byte, wherever it stands."""
    assert _code_of(decoded, text, "password") == "invalid-encoding"
    assert _code_of(read_options, f"a={text}") == "invalid-encoding"


def test_options_keep_their_order_and_lose_empty_ones() -> None:
    """As SQLAlchemy reads them."""
    assert read_options("b=1&a=x+y%26&empty=&c") == [("b", "1"), ("a", "x y&")]
    assert read_options(None) == []


def test_option_given_twice_is_refused() -> None:
    """No driver takes two values."""
    assert each_once([("a", "1"), ("b", "2")]) == {"a": "1", "b": "2"}
    assert _code_of(each_once, [("a", "1"), ("a", "1")]) == "repeated-option"
