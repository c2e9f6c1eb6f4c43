"""What REDIS_URL and WS_URL have in common: a known scheme, a host, a port, no stray characters; nothing printed."""

from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from settings.room import wrong


def checked_url(value: object, schemes: tuple[str, ...], *, example: str) -> SecretStr | None:
    """Return the URL as it is, or raise what is wrong with it, without any part of it.

    Args:
        value: Text, SecretStr or None.
        schemes: Schemes that are allowed, in lower case.
        example: A right URL, for the fix.

    Raises:
        PydanticCustomError: With the code `unknown-scheme`, `invalid-port`, `invalid-url` or `missing-host`.
    """
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    _check_characters(text, example)
    if text.partition("://")[0].lower() not in schemes or "://" not in text:
        names = ", ".join(f"{scheme}://" for scheme in schemes)
        raise wrong("unknown-scheme", f"the scheme is none of {names}", f"write it like {example}")
    parts = _split(text, example)
    if parts.scheme != "unix" and not parts.hostname:
        raise wrong("missing-host", "it names no host", f"write it like {example}")
    _check_database(parts, example)
    return SecretStr(text)


def _check_characters(text: str, example: str) -> None:
    if any(each.isspace() or not each.isprintable() for each in text):
        raise wrong("invalid-url", "it contains white space or a control character", f"write it like {example}")


def _split(text: str, example: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        message = "the port is not a number within 1 to 65535, or the password has an unescaped character"
        raise wrong(
            "invalid-port", message, f"write it like {example}; in a password '/' is %2F and '@' is %40"
        ) from None
    if port == 0 or parts.fragment:
        raise wrong("invalid-url", "it has port 0 or an unescaped '#'", f"write it like {example}; '#' is %23")
    return parts


def _check_database(parts: SplitResult, example: str) -> None:
    name = parts.path.strip("/")
    if parts.scheme in ("redis", "rediss") and name and not (name.isascii() and name.isdigit()):
        raise wrong("invalid-database", "the database after the slash is not a number", f"write it like {example}")
