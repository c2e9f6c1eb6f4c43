"""The part of a database URL behind the question mark, and percent-encoding, read strictly."""

from urllib.parse import parse_qsl, unquote

from settings.database.config import UnusableURLError

TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
"""What SQLAlchemy takes for a truth value in a URL (sqlalchemy.util.asbool)."""


def decoded(text: str, part: str) -> str:
    """Return `text` with its percent-encoding undone.

    Raises:
        UnusableURLError: When the bytes are no UTF-8, or one of them is NUL, which no driver takes.
    """
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        message = f"the percent-encoding of the {part} is not UTF-8"
        raise UnusableURLError("invalid-encoding", message, "encode its UTF-8 bytes, or write % as %25") from None
    if "\0" in plain:
        raise UnusableURLError("invalid-encoding", f"the {part} holds a NUL byte", "remove %00")
    return plain


def read_options(query: str | None) -> list[tuple[str, str]]:
    """Return name and value of each option in order; options without a value are left out, as SQLAlchemy does.

    Raises:
        UnusableURLError: When a name or a value cannot be decoded.
    """
    try:
        pairs = parse_qsl(query or "", errors="strict")
    except UnicodeDecodeError:
        message = "the percent-encoding of an option is not UTF-8"
        raise UnusableURLError("invalid-encoding", message, "encode its UTF-8 bytes, or write % as %25") from None
    if any("\0" in name + value for name, value in pairs):
        raise UnusableURLError("invalid-encoding", "an option holds a NUL byte", "remove %00")
    return pairs


def each_once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the options by name.

    Raises:
        UnusableURLError: When one is given twice: no driver takes two values.
    """
    options = dict(pairs)
    if len(options) < len(pairs):
        raise UnusableURLError("repeated-option", "an option is given more than once", "give each option once")
    return options
