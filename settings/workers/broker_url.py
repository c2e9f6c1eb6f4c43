"""A broker's URL in the words of kombu and of Celery's results, so that one REDIS_URL serves cache and broker."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

SOCKET = "redis+socket"
REDIS = ("redis", "rediss", SOCKET)
AMQP = ("amqp", "amqps", "pyamqp")
_KEPT = frozenset({"virtual_host", "credential_provider"})
"""What kombu and Celery both read in the query of a Redis URL, besides TLS."""

_AMQPS = frozenset({"cert_reqs", "check_hostname", "ca_certs", "certfile", "keyfile", "ciphers"})
_VERIFY = ("none", "optional", "required")
"""In the order of Python's ssl.VerifyMode."""


@dataclass(frozen=True, slots=True)
class BrokerURL:
    """A broker's URL as others read it.

    Attributes:
        url: For kombu; its scheme is in lower case.
        results: For Celery's results; None where the broker keeps none.
        tls: How certificates are verified, for kombu and for Celery's results; empty where they know by themselves.
    """

    url: str = field(repr=False)
    results: str | None = field(repr=False)
    tls: Mapping[str, object] = field(repr=False)

    @property
    def scheme(self) -> str:
        """What the URL begins with."""
        return self.url.partition(":")[0]


def translated(text: str) -> BrokerURL:
    """Return a URL in the words of those who read it; that of a broker other than Redis or amqps:// as it is.

    `unix://` becomes `redis+socket://`; database, user and password go from the query to where kombu looks for them;
    with `rediss://` and `amqps://` certificates are verified unless the query says otherwise. Of several Redis URLs
    with semicolons between, the first one keeps Celery's results, and the options of TLS are for all.

    Raises:
        ValueError: The query says what neither kombu nor Celery read; no value is in its words.
    """
    scheme, mark, rest = text.partition("://")
    if scheme.lower() == "amqps" and ";" not in rest:
        return _amqps(rest)
    if scheme.lower() not in (*REDIS, "unix"):
        return BrokerURL(f"{scheme.lower()}{mark}{rest}", None, {})
    tls: dict[str, object] = {}
    urls = [_redis(each, tls) for each in text.split(";")]
    return BrokerURL(";".join(urls), urls[0], tls)


def for_redis(text: str) -> str:
    """Return the URL of a broker on Redis in the words of redis-py; of several, the first one."""
    text = re.sub(rf"(?i)^{re.escape(SOCKET)}:", "unix:", text.partition(";")[0])
    text = re.sub(r"([?&])virtual_host=", r"\1db=", text)
    return re.sub(r"([?&]ssl_cert_reqs=)CERT_(\w+)", lambda found: found[1] + found[2].lower(), text)


def _amqps(rest: str) -> BrokerURL:
    """Return a URL whose options of TLS have py-amqp's names; kombu hands on those of redis-py, which py-amqp refuses.

    py-amqp compares the certificate with the name of the host only when it is told the name.
    """
    where, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    tls = {name[4:]: _typed(name, options.pop(name)) for name in list(options) if name.startswith("ssl_")}
    if tls.keys() - _AMQPS:
        raise ValueError("its query has options of TLS that the client of AMQP has not")
    tls["cert_reqs"] = _VERIFY.index(str(tls.get("cert_reqs", "required")))
    if tls.pop("check_hostname", True) and tls["cert_reqs"]:
        tls["server_hostname"] = urlsplit(f"amqps://{where}").hostname
    return BrokerURL(f"amqps://{where}{'?' if options else ''}{urlencode(options)}", None, tls)


def _redis(text: str, tls: dict[str, object]) -> str:
    """Return one URL, and add its options of TLS to `tls`."""
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower().replace("unix", SOCKET)
    where, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    where = _with_database(scheme, _with_user(where, options), options)
    if scheme == "rediss":
        tls.setdefault("ssl_cert_reqs", "required")
        tls |= {name: _typed(name, options.pop(name)) for name in list(options) if name.startswith("ssl_")}
    if options.keys() - _KEPT:
        raise ValueError("its query has options that the cache alone reads, or nobody")
    return f"{scheme}://{where}{'?' if options else ''}{urlencode(options)}"


def _with_user(where: str, options: dict[str, str]) -> str:
    """Move user and password before the host, unless there are any: those redis-py prefers too."""
    user, password = (quote(options.pop(name, ""), safe="") for name in ("username", "password"))
    has_user = "@" in where.partition("/")[0]
    return where if has_user or not (user or password) else f"{user}:{password}@{where}"


def _with_database(scheme: str, where: str, options: dict[str, str]) -> str:
    """Move the database to the path, whose own redis-py ignores then too, or to the virtual host of a socket."""
    database = options.pop("db", "")
    if not database:
        return where
    if not re.fullmatch(r"[0-9]{1,9}", database):
        raise ValueError("its db is not a number")
    if scheme != SOCKET:
        return f"{where.partition('/')[0]}/{database}"
    options["virtual_host"] = database
    return where


def _typed(name: str, text: str) -> object:
    """Return the value of an option of TLS as redis-py takes it; Celery's CERT_REQUIRED is redis-py's required."""
    if name == "ssl_check_hostname":
        return text.upper() not in ("0", "F", "FALSE", "N", "NO")
    if name == "ssl_min_version":
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ValueError("its ssl_min_version is not a number")
        return int(text)
    if name == "ssl_cert_reqs":
        text = text.lower().removeprefix("cert_")
        if text not in _VERIFY:
            raise ValueError("its ssl_cert_reqs is not none, optional or required")
    return text
