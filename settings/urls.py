"""What is wrong with a URL, said without printing any part of it that may be secret."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from settings.near_misses import nearest
from settings.room import wrong
from settings.url_advice import advice

# Not compiled here: most processes have no such URL, and a check is to cost little.
_SCHEME = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/*)"
_HOST = r"(?s)(?:\[(?P<address>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?"
_BARE_ADDRESS = r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"
_UNESCAPED = "in a user name or password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25, [ as %5B"


class Scheme(NamedTuple):
    """What one variable's URL may begin with.

    Attributes:
        known: Schemes that are allowed, in lower case, the best first.
        example: A right URL, for the fix.
        instead: Well-known wrong schemes, and what to write instead.
        refused: Schemes that name something which is not served, and its name.
        hostless: Schemes whose URL needs no host.
        examples: Right URLs of schemes that are written in another way, by scheme.
        file_example: A right URL of a file or a socket; empty where there is none.
    """

    known: tuple[str, ...]
    example: str
    instead: Mapping[str, str] = MappingProxyType({})
    refused: Mapping[str, str] = MappingProxyType({})
    hostless: frozenset[str] = frozenset()
    examples: Mapping[str, str] = MappingProxyType({})
    file_example: str = ""


class Parts(NamedTuple):
    """A URL that was found right, decoded; of user and password only whether they are there."""

    scheme: str
    has_user: bool
    has_password: bool
    host: str
    port: int | None
    path: str
    query: str


def text_of(value: object) -> str:
    """Return the text of a value that may be a SecretStr."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def check_scheme(text: str, scheme: Scheme) -> str:
    """Return the URL's scheme in lower case.

    Raises:
        PydanticCustomError: With the code `missing-scheme`, `unknown-driver` or `unknown-scheme`.
    """
    found = re.match(_SCHEME, text)
    if found is None or len(found["slashes"]) < 2:
        fix = advice(text, scheme.known, scheme.example, scheme.file_example)
        name = found["scheme"].lower() if found else ""
        if name in scheme.known:
            raise wrong("missing-scheme", f"{name}: is not followed by //", fix)
        raise wrong("missing-scheme", f"it does not begin with {_listed(scheme.known[:3])}", fix)
    name = found["scheme"].lower()
    if name not in scheme.known:
        raise _unknown(name, scheme)
    return name


def _unknown(name: str, scheme: Scheme) -> Exception:
    base, _, driver = name.partition("+")
    refused = scheme.refused.get(name) or scheme.refused.get(base)
    if refused:
        return wrong("unknown-scheme", f"{refused} is not supported", f"write {scheme.example}")
    if driver and base in scheme.known:
        return wrong("unknown-driver", f"the driver in {name}:// is not served", f"begin it with {base}://")
    better = scheme.instead.get(name) or scheme.instead.get(base) or nearest(name, scheme.known, most=2)
    message = f"the scheme {name}:// is not served" if len(name) <= 20 else "its scheme is not served"
    fix = f"begin it with {better}://" if better else f"use {_listed(scheme.known[:3])}, as in {scheme.example}"
    return wrong("unknown-scheme", message, fix)


def _listed(schemes: tuple[str, ...]) -> str:
    return " or ".join(f"{each}://" for each in schemes)


def checked_parts(text: str, scheme: Scheme) -> Parts:
    """Return the parts of a URL that is right.

    Raises:
        PydanticCustomError: As `check_scheme`, and with the code `invalid-character`, `unescaped-character`,
            `missing-host`, `several-hosts`, `invalid-host` or `invalid-port`.
    """
    if any(each.isspace() or not each.isprintable() for each in text):
        message = "it holds white space, a control character or another character that cannot be seen"
        raise wrong("invalid-character", message, f"remove it, or percent-encode it; write {scheme.example}")
    name = check_scheme(text, scheme)
    rest = text.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    _check_userinfo(authority, rest)
    userinfo, _, where = authority.rpartition("@")
    host, port = _host_and_port(where, scheme, name)
    try:
        urlsplit(text)  # refuses a few characters more, and is what the clients read the URL with
    except ValueError:
        raise wrong("invalid-host", "the host cannot be read", f"write {scheme.example}") from None
    path, _, query = rest[len(authority) :].partition("?")
    if "#" in path + query:
        raise wrong("unescaped-character", "it holds a #, behind which nothing is read", f"remove it; {_UNESCAPED}")
    user, _, password = userinfo.partition(":")
    return Parts(name, bool(user), bool(password), host, port, unquote(path), query)


def _check_userinfo(authority: str, rest: str) -> None:
    userinfo, at, where = authority.rpartition("@")
    behind = rest[len(authority) :]
    if at and ("@" in userinfo or userinfo.count(":") > 1 or re.search(r"%(?![0-9A-Fa-f]{2})|[\[\]]", userinfo)):
        raise _unescaped()
    # Without an @ the part behind the colon is a port, unless a password was cut off at its own / or ? or #.
    if not at and "@" in behind and (where.startswith(":") or not re.fullmatch(r"[^:]*(:\d{1,5})?|\[.*", where)):
        raise _unescaped()


def check_behind_the_host(text: str) -> None:
    """Return when no @ stands behind the host of a URL where a password that was not encoded would put it.

    Where the host begins depends on who reads: behind the first @, as SQLAlchemy has it, or the first / or ?.

    Raises:
        PydanticCustomError: With the code `unescaped-character`.
    """
    rest = text.partition("://")[2]
    path, _, query = re.sub(r"^[^/?]*", "", rest, count=1).partition("?")
    sqlalchemys = re.sub(r"^[^:/]*(:[^@]*)?@", "", rest, count=1).partition("?")[0]
    if "@" in path + sqlalchemys or any("@" in each and "=" not in each for each in query.split("&")):
        message = "an @ stands behind the host: the password is not percent-encoded, or the database's name is not"
        raise wrong("unescaped-character", message, f"{_UNESCAPED}; in a database's name write @ as %40")


def check_redis_database(text: str, example: str) -> None:
    """Return when Redis can have a database of this number; nothing is the default, 0.

    Raises:
        PydanticCustomError: With the code `invalid-database`.
    """
    if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise wrong(
            "invalid-database",
            "the database is not a number of at most nine digits",
            f"write its number, as in {example}",
        )


def _unescaped() -> Exception:
    message = "the user name or password holds one of @ : / ? # % [ that is not percent-encoded"
    return wrong("unescaped-character", message, _UNESCAPED)


def _host_and_port(where: str, scheme: Scheme, name: str) -> tuple[str, int | None]:
    if "," in where:
        message = "it names several hosts, as Sentinel and Cluster have; one server is served"
        raise wrong("several-hosts", message, f"write {scheme.example}")
    found = re.fullmatch(_HOST, where)
    if found is None or re.fullmatch(_BARE_ADDRESS, where):
        raise wrong("invalid-host", "the host cannot be read", "write an IPv6 address in brackets, as in [::1]:6379")
    host = unquote(found["address"] or found["name"] or "")
    if host:
        _check_host(host)
    elif name not in scheme.hostless:
        raise wrong("missing-host", "it names no host", f"write {scheme.examples.get(name, scheme.example)}")
    return host, _port(found["port"])


def _check_host(host: str) -> None:
    # \w is wide on purpose: a host may be written in any alphabet. NUL and blanks come percent-encoded.
    if not re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:.]+(%\w+)?", host):
        message = "the host holds a character that no host name has"
        raise wrong("invalid-host", message, "write the host's name or address")
    try:
        host.encode("idna")
    except UnicodeError:
        message = "the host is no name that a name server could know: a part of it is empty, too long or unreadable"
        raise wrong("invalid-host", message, "write the host's name or address") from None


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    # The text is not shown: it may be the beginning of a password.
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        message = "the port is not a number from 1 to 65535"
        raise wrong("invalid-port", message, f"write a number behind the host's colon; {_UNESCAPED}")
    return int(text)
