"""PostgreSQL URLs, read as SQLAlchemy and libpq read them together."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from settings.database.config import DatabaseConfig, DatabaseType, UnusableURLError, fits_authority, render_url
from settings.database.url_options import decoded, each_once, read_options
from settings.near_misses import nearest

# The userinfo is SQLAlchemy's (sqlalchemy.engine.url._parse_url); the hosts are libpq's, which may be several.
_SHAPE = re.compile(
    r"(?:(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@)?(?P<hosts>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?")
_BARE_ADDRESS = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")
_HOST_AND_PORT = re.compile(r"(?P<host>[a-zA-Z0-9\-.]*):(?P<port>\d*)")
_HOST_NAME = re.compile(r"[\w.\-:%]*|[/@][^,]*")
# Options of libpq 17 (postgresql.org/docs/17/libpq-connect.html), but for the five that are parts of the URL.
_TEXTS = frozenset({
    "hostaddr", "passfile", "require_auth", "client_encoding", "options", "application_name",
    "fallback_application_name", "replication", "sslcompression", "sslcert", "sslkey", "sslpassword", "sslrootcert",
    "sslcrl", "sslcrldir", "sslsni", "requirepeer", "krbsrvname", "gsslib", "gssdelegation", "service",
})  # fmt: skip
_NUMBERS = frozenset({
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
})  # fmt: skip
_WHOLE = r"\s*[+-]?\d{1,9}\s*"
_TLS = r"(?i)TLSv1(\.[123])?"
_WORDS = {_WHOLE: "a whole number", _TLS: "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"}
_VALUES: Mapping[str, str | None] = {
    **dict.fromkeys(_TEXTS),
    **dict.fromkeys(_NUMBERS, _WHOLE),
    **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version"), _TLS),
    "sslmode": "disable|allow|prefer|require|verify-ca|verify-full",
    "sslnegotiation": "postgres|direct",
    "sslcertmode": "disable|allow|require",
    "gssencmode": "disable|prefer|require",
    "channel_binding": "disable|prefer|require",
    "target_session_attrs": "any|read-write|read-only|primary|standby|prefer-standby",
    "load_balance_hosts": "disable|random",
}
_PARTS = ("host", "port", "user", "password", "dbname")
_ENCODE = "percent-encode the password: @ is %40, : is %3A, / is %2F, ? is %3F, % is %25"

Hosts = list[str]
Ports = list[str]


def _shape(rest: str) -> re.Match[str]:
    shape = _SHAPE.fullmatch(rest)
    if shape is None or "@" in shape["hosts"]:
        raise UnusableURLError(
            "unescaped-character", "the user or the password holds an @ that is not encoded", _ENCODE
        )
    user, password = shape["username"] or "", shape["password"] or ""
    if "?" in user or re.match(r"\d*[/?]", password):
        message = "an @ behind the first / or ? makes what stands before it the password"
        raise UnusableURLError("unescaped-character", message, "write @ as %40 in the database name and the options")
    return shape


def _port(text: str) -> str:
    if text and not (re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536):
        # The text is not shown: without an @ it is what was meant to be the password.
        message = "the port is not a number from 1 to 65535"
        raise UnusableURLError("invalid-port", message, "write host:5432, and percent-encode the user and the password")
    return str(int(text)) if text else ""


def _host(text: str) -> str:
    host = decoded(text, "host")
    if not _HOST_NAME.fullmatch(host):
        fix = f"write a name or an address; if it is the rest of a password, {_ENCODE}"
        raise UnusableURLError("invalid-host", "the host holds a character that no host name has", fix)
    return host


def _authority(text: str) -> tuple[Hosts, Ports]:
    hosts, ports = [], []
    for each in text.split(","):
        found = _HOST.fullmatch(each)
        if found is None or _BARE_ADDRESS.fullmatch(each):
            raise UnusableURLError(
                "invalid-host", "the host cannot be read", "write an IPv6 address in brackets: [::1]:5432"
            )
        hosts.append(_host(found["address"] or found["name"] or ""))
        ports.append(_port(found["port"] or ""))
    return hosts, ports


def _repeated_hosts(given: list[str], ports: list[str]) -> tuple[Hosts, Ports]:
    """Read SQLAlchemy's `?host=h1:5432&host=h2:5433`."""
    if ports:
        fix = "write host=h1,h2&port=5432,5433 or host=h1:5432&host=h2:5433"
        raise UnusableURLError("invalid-host", "two ways of giving several hosts are mixed", fix)
    pairs = [each.partition(":") for each in given]
    return [host for host, _, _ in pairs], [_port(port) for _, _, port in pairs]


def _query_hosts(given: list[str], ports: list[str], default: Ports) -> tuple[Hosts, Ports]:
    """Read `?host=…`: one or several by comma, or repeated; a single one keeps the port that stands before the path."""
    if len(given) > 1:
        return _repeated_hosts(given, ports)
    hosts = given[0].split(",")
    if not ports and len(hosts) == 1:
        pair = _HOST_AND_PORT.fullmatch(hosts[0])
        if pair is not None:
            return [pair["host"]], [_port(pair["port"])] if pair["port"] else default
        return hosts, default
    if not ports and any(_HOST_AND_PORT.fullmatch(host) for host in hosts):
        raise UnusableURLError("invalid-host", "host= cannot hold ports", "write host=h1,h2&port=5432,5433")
    if not ports and any(default):
        fix = "write host=h1,h2&port=5432,5433"
        raise UnusableURLError("invalid-port", "a port before the path is not used with several hosts behind it", fix)
    return hosts, []


def _matched(hosts: Hosts, ports: Ports) -> tuple[str | None, int | str | None]:
    """Return hosts and ports as psycopg2 gets them; one port serves every host, as libpq documents."""
    if len(ports) == 1:
        ports = ports * len(hosts)
    if any(ports) and len(ports) != len(hosts):
        raise UnusableURLError(
            "invalid-port", "the numbers of hosts and of ports differ", "give one port, or one for each host"
        )
    host = ",".join(hosts) or None
    if not any(ports):
        return host, None
    return host, int(ports[0]) if len(hosts) == 1 else ",".join(ports)


def _where(shape: re.Match[str], pairs: list[tuple[str, str]]) -> tuple[str | None, int | str | None]:
    hosts, ports = _authority(shape["hosts"])
    given = [value for name, value in pairs if name == "host"]
    listed = [value for name, value in pairs if name == "port"]
    query_ports = [_port(port.strip()) for value in listed for port in value.split(",")]
    if given:
        if len(hosts) > 1:
            fix = "name the hosts in one place: host1:5432,host2:5432"
            raise UnusableURLError("invalid-host", "hosts stand before the path and behind the question mark", fix)
        hosts, ports = _query_hosts(given, query_ports, ports)
        hosts = [_host_as_written(host) for host in hosts]
    return _matched(hosts, query_ports or ports)


def _host_as_written(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise UnusableURLError(
            "invalid-host", "the host holds a character that no host name has", "write a name or an address"
        )
    return text


def _check_options(options: Mapping[str, str]) -> None:
    for name, value in options.items():
        if name not in _VALUES:
            near = nearest(name, (*_VALUES, *_PARTS), most=2)
            fix = f"did you mean {near}? else remove it" if near else "remove it, or look for a typing error"
            raise UnusableURLError("unknown-option", f"libpq knows no option {name!r}", fix)
        wanted = _VALUES[name]
        if wanted is not None and not re.fullmatch(wanted, value):
            fix = f"let {name} be {_WORDS.get(wanted) or 'one of ' + wanted.replace('|', ', ')}"
            raise UnusableURLError("invalid-option", f"the value of the option {name!r} cannot be used", fix)


def _translated(options: dict[str, str]) -> dict[str, str]:
    # libpq takes this spelling of JDBC's in URIs only, and psycopg2 is given keywords.
    if options.get("ssl") == "true":
        del options["ssl"]
        options.setdefault("sslmode", "require")
    return options


def _warnings(shape: re.Match[str], options: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    if re.search(r"[:/?#\s]|%(?![0-9A-Fa-f]{2})", shape["password"] or ""):
        found.append(
            "the password holds : / ? # % or a blank that should be percent-encoded; write : as %3A, / as %2F, "
            "? as %3F, # as %23, % as %25, a blank as %20"
        )
    if "#" in (shape["database"] or ""):
        found.append(
            "a # and what stands behind it are read as part of the database's name; remove them, or write # as %23"
        )
    if options.get("connect_timeout", "1").strip() in {"0", "-1"}:
        found.append("connect_timeout=0 waits without end; remove it, and set DATABASE_CONNECT_TIMEOUT")
    return tuple(found)


def _rendered(config: DatabaseConfig) -> str:
    userinfo = ""
    if config.username is not None or config.password is not None:
        secret = "" if config.password is None else ":" + quote(config.password, safe="")
        userinfo = f"{quote(config.username or '', safe='')}{secret}@"
    authority = ""
    if config.host is None or fits_authority(config.host):
        host = config.host or ""
        authority = (f"[{host}]" if ":" in host else host) + ("" if config.port is None else f":{config.port}")
    return render_url(
        "postgresql+psycopg2", userinfo=userinfo, authority=authority, database=config.database, query=config.query()
    )


def parse_postgresql(rest: str) -> DatabaseConfig:
    """Return the parts of a PostgreSQL URL, of which `rest` stands behind `://`.

    Raises:
        UnusableURLError: When libpq would not take it, or SQLAlchemy would read something else than it seems to say.
    """
    shape = _shape(rest)
    pairs = read_options(shape["query"])
    host, port = _where(shape, pairs)
    options = _translated(each_once([pair for pair in pairs if pair[0] not in {"host", "port"}]))
    named = {name: options.pop(name) for name in _PARTS if name in options}
    _check_options(options)
    database = named.get("dbname") or decoded(shape["database"] or "", "database name")
    if not database and "service" not in options:
        raise UnusableURLError(
            "missing-database", "the URL names no database", "write postgresql://user:<password>@host:5432/database"
        )
    config = DatabaseConfig(
        DatabaseType.POSTGRESQL,
        "",
        driver="psycopg2",
        options=options,
        host=host,
        port=port,
        database=database or None,
        username=named.get("user") or decoded(shape["username"] or "", "user name") or None,
        password=named.get("password") or decoded(shape["password"] or "", "password") or None,
        warnings=_warnings(shape, options),
    )
    return replace(config, connection_string=_rendered(config))
