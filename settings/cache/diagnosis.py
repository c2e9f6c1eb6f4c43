"""Why Redis cannot be used: one table, from what redis-py raises to a cause and a fix.

Rows are tried in order, since most errors of redis-py are subclasses of its ConnectionError, and the server's
own code is often only in the text.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from settings.problems import Diagnosis, mask_secrets

VARIABLE = "REDIS_URL"


@dataclass(frozen=True, slots=True)
class _Row:
    """One fault: a pattern of its words, and what it means."""

    code: str
    pattern: str
    cause: str
    fix: str
    transient: bool = True


_ROWS = (
    _Row(
        "redis-no-password",
        r"\bNOAUTH\b|HELLO must be called with the client already authenticated|Authentication required",
        "Redis wants a password and REDIS_URL has none",
        "put it into REDIS_URL: redis://:PASSWORD@host:6379/0, percent-encoded",
        transient=False,
    ),
    _Row(
        "redis-wrong-password",
        r"\bWRONGPASS\b|invalid username-password|invalid password|AuthenticationError",
        "Redis refuses the user name or password of REDIS_URL, or the user is disabled",
        "compare user and password of REDIS_URL with `ACL LIST` or requirepass; '@', ':' and '/' in a password are "
        "%40, %3A and %2F",
        transient=False,
    ),
    _Row(
        "redis-no-permission",
        r"\bNOPERM\b|has no permissions",
        "the user of REDIS_URL may not run a command that the cache needs, or not on keys with CACHE_KEY_PREFIX",
        "grant it: ACL SETUSER <user> ~<prefix>* +get +mget +set +del +unlink +exists +incrby +scan",
        transient=False,
    ),
    _Row(
        "redis-read-only",
        r"\bREADONLY\b|read only replica",
        "this Redis is a read-only replica",
        "point REDIS_URL at the primary, or finish the failover",
    ),
    _Row(
        "redis-out-of-memory",
        r"\bOOM\b|used memory > 'maxmemory'",
        "Redis has reached maxmemory and evicts nothing",
        "set maxmemory-policy allkeys-lru for a Redis that is a cache, or give it more memory",
    ),
    _Row(
        "redis-cannot-save",
        r"\bMISCONF\b",
        "Redis cannot write its snapshot to disk and therefore refuses writes",
        'free its disk or mend the rights of its directory; for a pure cache: CONFIG SET save ""',
    ),
    _Row(
        "redis-loading",
        r"\bLOADING\b|loading the dataset",
        "Redis is starting and loads its data",
        "wait; nothing to do",
    ),
    _Row(
        "redis-replica-stale",
        r"\bMASTERDOWN\b|Link with MASTER is down",
        "this Redis is a replica that has lost its primary",
        "point REDIS_URL at the primary, or finish the failover",
    ),
    _Row(
        "redis-no-replicas",
        r"\bNOREPLICAS\b",
        "Redis has fewer replicas than min-replicas-to-write demands",
        "bring the replicas back",
    ),
    _Row("redis-busy", r"\bBUSY\b", "Redis is busy with a script", "find the script; SCRIPT KILL ends it"),
    _Row(
        "redis-cluster",
        r"\bMOVED\b|\bASK\b|\bCLUSTERDOWN\b|\bCROSSSLOT\b|cluster mode|Hash slot not served",
        "this server is a node of a Redis Cluster, which is not supported",
        "use a Redis that is not a cluster, or a proxy that hides it",
        transient=False,
    ),
    _Row(
        "redis-database-number",
        r"DB index is out of range",
        "this Redis has no database of the number in REDIS_URL",
        "use a smaller number, mostly 0 to 15",
        transient=False,
    ),
    _Row(
        "redis-unknown-command",
        r"unknown command",
        "the server does not know a command that the cache needs: a Sentinel, or something else than Redis",
        "point REDIS_URL at Redis itself, mostly port 6379; a Sentinel (26379) is not supported",
        transient=False,
    ),
    _Row(
        "redis-too-many-clients",
        r"max number of clients",
        "Redis has no room for another connection",
        "raise its maxclients, or lower REDIS_MAX_CONNECTIONS",
    ),
    _Row(
        "redis-pool-exhausted",
        r"No connection available|Too many connections",
        "all REDIS_MAX_CONNECTIONS connections were in use for longer than REDIS_TIMEOUT",
        "raise REDIS_MAX_CONNECTIONS to the number of threads, or find out what makes Redis slow",
    ),
    _Row(
        "redis-certificate",
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|[Hh]ostname mismatch",
        "the certificate of Redis is not trusted, has expired or is another host's",
        "add ?ssl_ca_certs=/path/ca.pem to REDIS_URL, and use the host name that the certificate has",
        transient=False,
    ),
    _Row(
        "redis-certificate-file",
        r"(?s)(?=.*rediss)(?=.*(?:Error 2 connecting|No such file or directory|\[X509|PEM))",
        "a certificate file that REDIS_URL names cannot be read",
        "mend ssl_ca_certs, ssl_certfile or ssl_keyfile",
        transient=False,
    ),
    _Row(
        "redis-tls-closed",
        r"UNEXPECTED_EOF|EOF occurred in violation",
        "Redis, or what is in front of it, closed the connection within the TLS handshake",
        "see its log; use redis:// for a plain port",
    ),
    _Row(
        "redis-tls",
        r"\[SSL|SSLError|WRONG_VERSION_NUMBER",
        "the TLS handshake with Redis failed",
        "use rediss:// for a TLS port and redis:// for a plain one",
        transient=False,
    ),
    _Row(
        "redis-not-redis",
        r"InvalidResponse|Protocol Error|Invalid RESP",
        "what listens there does not speak Redis's protocol",
        "mend host and port of REDIS_URL; a port that wants TLS needs rediss://",
        transient=False,
    ),
    _Row(
        "redis-socket-missing",
        r"FileNotFoundError|No such file or directory",
        "the socket of REDIS_URL does not exist",
        "start Redis, or mend the path; see unixsocket in redis.conf",
    ),
    _Row(
        "redis-socket-forbidden",
        r"PermissionError|Permission denied",
        "this process may not use the socket of REDIS_URL",
        "add its user to the group of the socket; see unixsocketperm",
        transient=False,
    ),
    _Row(
        "redis-host-unknown",
        r"gaierror|Name or service not known|name resolution|nodename nor servname|label (?:empty|too long)",
        "the host name of REDIS_URL cannot be resolved",
        "mend the host of REDIS_URL, or its DNS entry",
    ),
    _Row(
        "redis-refused",
        r"Connection refused|ConnectionRefusedError",
        "nothing listens at the address of REDIS_URL",
        "start Redis, or mend host and port of REDIS_URL",
    ),
    _Row(
        "redis-unreachable",
        r"No route to host|Network is unreachable|Host is down",
        "there is no way through the network to the host of REDIS_URL",
        "mend the route, the firewall or the host",
    ),
    _Row(
        "redis-tls-timeout",
        r"(?s)(?=.*rediss)(?=.*Timeout connecting)",
        "the TLS handshake with Redis was not answered within REDIS_TIMEOUT: the port may be a plain one",
        "use redis:// for a plain port, or see whether the host answers",
    ),
    _Row(
        "redis-connect-timeout",
        r"Timeout connecting",
        "no connection to Redis within REDIS_CONNECT_TIMEOUT",
        "see whether a firewall drops it, the host is down or its name server silent",
    ),
    _Row(
        "redis-timeout",
        r"Timeout|timed out|TimeoutError",
        "Redis did not answer within REDIS_TIMEOUT",
        "see whether Redis is frozen or overloaded (SLOWLOG GET)",
    ),
    _Row(
        "redis-connection-lost",
        r"closed by server|Connection reset|Broken pipe|while reading from|while writing to|Connection not ready",
        "Redis closed the connection",
        "see Redis's log; a port that wants TLS needs rediss://",
    ),
)

CODES = frozenset({row.code for row in _ROWS} | {"redis-unknown", "redis-url-option"})
"""Every code that this room gives."""


def diagnose_redis(error: BaseException, *, tls: bool = False, secrets: Collection[str] = ()) -> Diagnosis:
    """Return cause and fix of what redis-py raised.

    Args:
        error: What was raised, with its causes.
        tls: Whether REDIS_URL begins with `rediss://`.
        secrets: What must not be shown when an unknown fault repeats it.
    """
    words = _words(error) + (" rediss" if tls else "")
    for row in _ROWS:
        if re.search(row.pattern, words):
            return Diagnosis(row.code, row.cause, row.fix, row.transient)
    said = mask_secrets(str(error), secrets) or "nothing"
    return Diagnosis("redis-unknown", f"unknown fault {type(error).__name__}, Redis or its client said: {said}",
                     "look this message up, and see Redis's log", transient=True)  # fmt: skip


def url_option(error: Exception) -> Diagnosis:
    """Return the diagnosis of a REDIS_URL whose query cannot be understood; the value may be a secret."""
    name = re.search(r"'(\w+)'", str(error))
    which = f"'{name.group(1)}' " if name else ""
    cause = f"the option {which}in the query of REDIS_URL is unknown or has an impossible value"
    return Diagnosis("redis-url-option", cause, "remove it, or see redis.Redis for what there is")


def _words(error: BaseException) -> str:
    """Join name, code and text of an error and of the system's error behind it.

    No further: a context beyond that is what the application was handling when it asked the cache.
    """
    behind = error.__cause__ or error.__context__
    chain = [error, behind] if isinstance(behind, OSError | UnicodeError) else [error]
    return " ".join(f"{type(each).__name__} {getattr(each, 'status_code', None) or ''} {each}" for each in chain)
