"""What libpq says when no connection comes about or one is lost, with cause and fix."""

import re
from dataclasses import replace

from settings.problems import Diagnosis

Row = tuple[str, Diagnosis]
_RAISE_WAIT = "start it, or raise DATABASE_WAIT if it needs longer to come up"


def _row(text: str, code: str, cause: str, fix: str, *, transient: bool = False) -> Row:
    return text, Diagnosis(f"database-{code}", cause, fix, transient)


# A failed connect has no SQLSTATE, in libpq's text only: so English words decide, the most particular first, because
# the text of several addresses or hosts holds a line for each. A word in <> is taken from the text. Behind TLS a
# connection that was lost says "SSL SYSCALL error: EOF detected".
CONNECTING: tuple[Row, ...] = (
    _row(
        r"password authentication failed for user \"(?P<user>[^\"]*)\"",
        "authentication",
        'the server refuses user "<user>": the password is wrong, or there is no such role',
        "correct user and password, and percent-encode special characters of the password",
    ),
    _row(
        r"(peer|ident|certificate|gssapi|ldap|pam|radius|cert) authentication failed|authentication failed for user",
        "authentication-method",
        "the server refuses this user by the method that pg_hba.conf demands",
        "connect as a user that this method lets in, or change pg_hba.conf",
    ),
    _row(
        r"authentication method requirement|channel binding (is )?required|requirepeer specifies"
        r"|did not request an SSL certificate|GSSAPI encryption( required|, but it was)",
        "requirement",
        "the server does not identify itself, or the user, in the way that the URL requires",
        "change require_auth, channel_binding, requirepeer, sslcertmode or gssencmode, or the server",
    ),
    _row(
        r"no password supplied",
        "password-missing",
        "the server asks for a password and none is given",
        "write user:password@ before the host",
    ),
    _row(
        r"local user with ID \d+ does not exist|could not look up local user",
        "user-missing",
        "the URL names no user, and the user of this process has no name",
        "write user:password@ before the host",
    ),
    _row(
        r"role \"(?P<role>[^\"]*)\" does not exist",
        "role-unknown",
        'the role "<role>" does not exist',
        "CREATE ROLE … LOGIN, or correct the user",
    ),
    _row(
        r"role \"(?P<role>[^\"]*)\" is not permitted to log in",
        "role-no-login",
        'the role "<role>" may not log in',
        "ALTER ROLE … LOGIN, or use another user",
    ),
    _row(
        # "no such database" is PgBouncer's.
        r"(database \"|no such database: )(?P<name>[^\"\n]*)(\" does not exist|\n|$)",
        "unknown",
        'the server has no database "<name>"',
        "CREATE DATABASE …, or correct the name behind the host",
    ),
    _row(
        r"permission denied for database",
        "no-connect-right",
        "this role may not connect to this database",
        "GRANT CONNECT ON DATABASE … TO the role",
    ),
    _row(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "not-allowed",
        "pg_hba.conf lets this host, user and database not in, or only with TLS",
        "add a line for them to pg_hba.conf, or add ?sslmode=require where it asks for TLS",
    ),
    _row(
        r"does not support SSL|server refuses SSL",
        "no-tls",
        "the server does not speak TLS, and sslmode asks for it",
        "turn TLS on at the server, or change sslmode",
    ),
    _row(
        # OpenSSL 3 calls it an error when the other side is gone; it is one that can pass, and has its row below.
        r"root certificate file|certificate verify failed|server certificate|could not (read|load|open) certificate"
        r"|certificate file|private key file|SSL error(?!: unexpected eof)|sslv3 alert|tlsv1 alert",
        "tls",
        "TLS with the server could not be agreed upon, or its certificate not be verified",
        "look at sslmode, sslrootcert, sslcert and sslkey, and at the name in the server's certificate",
    ),
    _row(
        r"invalid connection option|invalid dsn",
        "option-unknown",
        "the URL has an option that libpq does not know",
        "remove it from behind the question mark",
    ),
    _row(
        r"invalid \S* ?value:|invalid integer value|invalid \"\S+\" value|invalid port number|invalid uri"
        r"|could not parse network address|definition of service .* not found|could not match \d+ |service file"
        r"|weak sslmode|SSL protocol version( range|:)|socket path .* is too long|require_auth method",
        "option-invalid",
        "an option of the URL has a value that libpq does not take",
        "correct the options behind the question mark",
    ),
    _row(
        # "unsupported startup parameter" is PgBouncer's.
        r"unrecognized configuration parameter|invalid value for parameter|parameter .* cannot be (set|changed)"
        r"|unsupported startup parameter",
        "parameter-invalid",
        "the server does not take a parameter that options= sets",
        "correct options=-c name=value",
    ),
    _row(
        r"is starting up",
        "starting-up",
        "the server is starting up",
        "wait, or raise DATABASE_WAIT",
        transient=True,
    ),
    _row(
        r"in recovery mode|not yet accepting connections|consistent recovery state",
        "recovering",
        "the server recovers from a crash",
        "wait, or raise DATABASE_WAIT",
        transient=True,
    ),
    _row(
        r"is shutting down",
        "shutting-down",
        "the server is shutting down",
        "start it again when it is down",
        transient=True,
    ),
    _row(
        r"hot standby mode is disabled|system is not accepting connections",
        "standby-closed",
        "this server is a standby that takes no connections",
        "name the primary, or turn hot_standby on",
    ),
    _row(
        r"is not currently accepting connections",
        "closed",
        "this database takes no connections",
        "ALTER DATABASE … ALLOW_CONNECTIONS true",
    ),
    _row(
        r"too many connections for|too many clients|remaining connection slots|no more connections allowed"
        r"|max_client_conn|query_wait_timeout",
        "too-many-connections",
        "the server, the database or the role has no connection left",
        "lower DATABASE_POOL_SIZE or the number of processes, or raise max_connections",
        transient=True,
    ),
    _row(
        r"session is read-only|session is not read-only|server is (not )?in hot standby",
        "wrong-role-of-server",
        "no server of the URL has the role that target_session_attrs asks for",
        "name the primary, or wait until one is promoted",
        transient=True,
    ),
    _row(
        r"received invalid (response|authentication request|protocol negotiation)|expected authentication request"
        r"|(unsupported frontend protocol|protocol version not supported)|unexpected message from server",
        "not-postgresql",
        "what listens there does not speak PostgreSQL's protocol",
        "correct host and port",
    ),
    _row(
        r"closed the connection|connection reset|terminating connection|connection already closed|broken pipe"
        r"|could not (receive|send) data|connection not open|lost synchronization|PGRES_TUPLES_OK and no message"
        r"|connection has been closed|connection pointer is NULL|SSL SYSCALL error|SSL_(read|write) failed"
        r"|SSL error: unexpected eof|write to server failed",
        "connection-lost",
        "the server, or something between, closed the connection",
        "look at the server's log: it was restarted or killed, or a time-out ended an idle connection",
        transient=True,
    ),
    _row(
        r"could not translate host name",
        "host-unknown",
        "the host name cannot be resolved",
        "correct the host, and percent-encode an @ of the password; or look at DNS",
        transient=True,
    ),
    _row(
        r"on socket .* failed: (No such file or directory|Connection refused)",
        "socket-missing",
        "no server listens on that socket",
        "start the server, or correct the folder of its socket and the port",
        transient=True,
    ),
    _row(
        r"connection refused",
        "refused",
        "nothing listens on that host and port",
        _RAISE_WAIT,
        transient=True,
    ),
    _row(
        r"timeout expired|connection timed out|operation timed out",
        "timeout",
        "the server did not answer within the connect time-out",
        "look at the host, its firewall and its load, or raise DATABASE_CONNECT_TIMEOUT",
        transient=True,
    ),
    _row(
        r"no route to host|network is unreachable|host is down",
        "unreachable",
        "there is no route to that host",
        "look at the network, or correct the host",
        transient=True,
    ),
    _row(
        r"permission denied",
        "socket-denied",
        "this user may not use the server's socket",
        "change the rights of its folder, or connect by TCP",
    ),
)


def by_text(text: str) -> Diagnosis | None:
    """Return what the words of libpq or the server say; the names in them are filled in."""
    for pattern, found in CONNECTING:
        match = re.search(pattern, text, re.IGNORECASE)  # compiled only when there is a fault: each boot would pay
        if match is not None:
            cause = found.cause
            for name, value in match.groupdict().items():
                cause = cause.replace(f"<{name}>", value)
            return replace(found, cause=cause)
    return None
