"""Every fault of Redis, made on a real server: no operation raises, one line says what is wrong and what to do."""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from settings.cache.client import connect
from settings.cache.diagnosis import CODES, diagnose_redis, url_option
from settings.cache.model import RedisSettings
from settings.probe import HealthStatus
from tests.cache import broken_redis as broken
from tests.cache.conftest import MakeCache
from tests.servers import RedisServer

TLS_TRUSTED = f"?ssl_ca_certs={broken.CERTIFICATE}"
NO_REPLICA = ("--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data")
PASSES = {
    "refused": ("redis-refused", broken.refused),
    "SYN blackhole": ("redis-connect-timeout", broken.blackhole),
    "accepts, hangs": ("redis-timeout", lambda: broken.misbehaving("hang")),
    "accepts, closes": ("redis-connection-lost", lambda: broken.misbehaving("close")),
    "accepts, resets": ("redis-connection-lost", lambda: broken.misbehaving("reset")),
    "DNS": ("redis-host-unknown", lambda: broken.url("redis://no-such-host.invalid:6379/0")),
    "frozen": ("redis-timeout", broken.frozen),
    "READONLY": ("redis-read-only", lambda: broken.running(*NO_REPLICA, "yes")),
    "MASTERDOWN": ("redis-replica-stale", lambda: broken.running(*NO_REPLICA, "no")),
    "NOREPLICAS": ("redis-no-replicas", lambda: broken.running("--min-replicas-to-write", "1")),
    "OOM": ("redis-out-of-memory", broken.full),
    "maxclients": ("redis-too-many-clients", broken.full_of_clients),
    "MISCONF": ("redis-cannot-save", broken.cannot_save),
    "BUSY": ("redis-busy", broken.busy),
    "LOADING": ("redis-loading", lambda: broken.saying(b"-LOADING Redis is loading the dataset in memory\r\n")),
    "socket missing": ("redis-socket-missing", lambda: broken.url("unix:///no/such.sock")),
    "TLS to a plain port": ("redis-tls-timeout", lambda: broken.misbehaving("hang", "rediss")),
    "TLS, closed": ("redis-tls-closed", lambda: broken.misbehaving("close", "rediss")),
    "plain to a TLS port": ("redis-connection-lost", lambda: broken.tls(scheme="redis")),
    "unheard-of": ("redis-unknown", lambda: broken.saying(b"-ODD who is redis://u:s3cret@h asking?\r\n")),
}
"""Faults that can pass by themselves: code, and how each is made."""

STAYS = {
    "HTTP server": ("redis-not-redis", lambda: broken.misbehaving("garbage")),
    "NOAUTH": ("redis-no-password", lambda: broken.with_password("")),
    "NOAUTH, protocol 3": ("redis-no-password", lambda: broken.with_password("", "?protocol=3")),
    "WRONGPASS, password": ("redis-wrong-password", lambda: broken.with_password(":s3cret-wrong@")),
    "WRONGPASS, user": ("redis-wrong-password", lambda: broken.with_password("app:s3cret-wrong@")),
    "NOPERM, command": ("redis-no-permission", lambda: broken.with_user("~app:*", "+get")),
    "NOPERM, keys": ("redis-no-permission", lambda: broken.with_user("~other:*", "+@all")),
    "database number": ("redis-database-number", lambda: broken.running(database=99)),
    "Cluster": ("redis-cluster", lambda: broken.cluster_node()),
    "Cluster, database": ("redis-cluster", lambda: broken.cluster_node(database=1)),
    "Sentinel": ("redis-unknown-command", broken.sentinel),
    "TLS to HTTP": ("redis-tls", lambda: broken.misbehaving("garbage", "rediss")),
    "TLS, untrusted": ("redis-certificate", broken.tls),
    "TLS, other host": ("redis-certificate", lambda: broken.tls(TLS_TRUSTED, host="localhost")),
    "TLS, no such file": ("redis-certificate-file", lambda: broken.tls("?ssl_ca_certs=/no/such/file.pem")),
}
"""Faults that a person has to end: code, and how each is made."""

FAULTS: Mapping[str, tuple[str, Callable[[], AbstractContextManager[str]]]] = PASSES | STAYS


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_survived_and_diagnosed(name: str, make_cache: MakeCache, caplog: pytest.LogCaptureFixture) -> None:
    """In this state of Redis writes and reads work, in memory, and one line says variable, cause, code and fix."""
    code, made = FAULTS[name]
    seconds = 0.2 if "timeout" in code else 5  # what answers may take its time on a busy machine
    with made() as url:
        cache = make_cache(url, timeout=seconds, connect_timeout=seconds)
        assert cache.get("key") is None
        assert cache.set("key", "value")
        assert cache.get("key") == "value"
        reading = cache.reading()
    assert (reading.status, reading.code) == (HealthStatus.FALLBACK, code)
    assert reading.cause
    assert reading.fix
    [line] = [record for record in caplog.records if record.name.startswith("settings.cache")]
    assert line.levelno == (logging.WARNING if name in PASSES else logging.ERROR)
    said = line.getMessage()
    assert said.startswith("REDIS_URL (")
    assert all(each in said for each in (reading.cause, f"[{code}]", reading.fix))
    assert "s3cret" not in said + str(reading)


@pytest.mark.parametrize(
    "made",
    [
        lambda: broken.running(),
        lambda: broken.running(database=15),
        lambda: broken.with_password(f":{broken.ENCODED}@"),
        lambda: broken.with_password(f"default:{broken.ENCODED}@"),
        lambda: broken.with_user("~app:*", "+@all"),
        lambda: broken.with_user(
            "~app:*", "+get", "+mget", "+set", "+del", "+unlink", "+exists", "+incrby", "+scan"
        ),
        lambda: broken.tls(TLS_TRUSTED),
        lambda: broken.tls("?ssl_cert_reqs=none"),
        lambda: broken.running("--maxmemory", "900kb", "--maxmemory-policy", "allkeys-lru"),
    ],
    ids=["plain", "database", "password", "user", "ACL user", "least rights", "TLS", "TLS unchecked", "evicting"],
)  # fmt: skip
def test_usable_redis_is_used(made: Callable[[], AbstractContextManager[str]], make_cache: MakeCache) -> None:
    """TLS, ACL users, passwords and database numbers work, and the rights that the fix names are enough."""
    with made() as url:
        cache = make_cache(url)
        assert cache.ping().status is HealthStatus.HEALTHY
        cache.set("key", "value")
        assert cache.cache.get_many("key", "none") == ["value", None]
        assert cache.add("counter", 1)
        assert cache.inc("counter") == 2
        assert cache.has("key")
        assert cache.delete("key")
        assert cache.unlink("counter") == ["counter"]
        assert cache.clear()
        assert cache.figures()["outages"] == 0


def test_socket_is_used(make_cache: MakeCache) -> None:
    """A unix:// URL with a database number works."""
    with broken.started("--unixsocket", "redis.sock") as server:
        cache = make_cache(f"unix://{server.folder}/redis.sock?db=3")
        cache.set("key", "value")
        assert server.client(3).exists("app:key")


def test_password_for_a_server_without_one_is_no_fault(make_cache: MakeCache, redis_server: RedisServer) -> None:
    """A server that wants no password is used even when REDIS_URL has one."""
    cache = make_cache(f"redis://:s3cret@127.0.0.1:{redis_server.port}/0")
    assert cache.ping().status is HealthStatus.HEALTHY


def test_an_exhausted_pool_is_told_from_a_slow_server(redis_server: RedisServer) -> None:
    """When every connection is taken, the pool is named, and REDIS_MAX_CONNECTIONS in the fix."""
    client = connect(RedisSettings.model_validate({"url": redis_server.url(), "max_connections": 1, "timeout": 0.05}))
    taken = client.connection_pool.get_connection()
    with pytest.raises(redis.ConnectionError) as caught:
        client.get("key")
    client.connection_pool.release(taken)
    client.close()
    diagnosis = diagnose_redis(caught.value)
    assert diagnosis.code == "redis-pool-exhausted"
    assert "REDIS_MAX_CONNECTIONS" in diagnosis.fix


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (redis.ConnectionError("Error 113 connecting to 10.0.0.1:6379. No route to host."), "redis-unreachable"),
        (redis.ConnectionError("Error 13 connecting to /run/redis.sock. Permission denied."), "redis-socket-forbidden"),
        (redis.ConnectionError("Connection closed by server."), "redis-connection-lost"),
        (UnicodeError("encoding with 'idna' codec failed: label too long"), "redis-host-unknown"),
        (redis.ResponseError("MOVED 866 127.0.0.1:7002"), "redis-cluster"),
        (redis.ResponseError("CROSSSLOT Keys in request don't hash to the same slot"), "redis-cluster"),
    ],
)
def test_texts_that_cannot_be_made_here_are_known(error: Exception, code: str) -> None:
    """Errors that need another network or another user are told apart by what redis-py says."""
    assert diagnose_redis(error).code == code


def test_what_the_application_was_handling_does_not_count() -> None:
    """An error of the application's own, behind that of redis-py, is not taken for the cause."""
    error = redis.ConnectionError("Connection closed by server.")
    error.__context__ = ValueError("WRONGPASS and OOM are in this text")
    assert diagnose_redis(error).code == "redis-connection-lost"


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=6, max_size=30))
def test_an_unknown_fault_never_shows_the_password(text: str) -> None:
    """What an unknown server says is shown, but for the password of REDIS_URL in any spelling."""
    password = f"§{text}"  # so that it is no word of the cause itself
    error = redis.ResponseError(f"ODD I was told '{password}' and {password!r}, whatever that is")
    diagnosis = diagnose_redis(error, secrets=frozenset({password}))
    assert diagnosis.code == "redis-unknown"
    assert "ODD I was told '***'" in diagnosis.cause
    assert password not in diagnosis.cause.replace("***", "")


@given(st.text(max_size=200))
def test_any_error_has_cause_and_fix(text: str) -> None:
    """Whatever is said, there is a known code, a cause and a fix."""
    diagnosis = diagnose_redis(redis.ResponseError(text))
    assert diagnosis.code in CODES
    assert diagnosis.cause
    assert diagnosis.fix


def test_codes_are_words_with_hyphens() -> None:
    """Every code is kebab-case and says whose it is, so that it is unique in the project."""
    assert all(re.fullmatch(r"redis(-[a-z]+)+", code) for code in CODES)
    assert {code for code, _ in FAULTS.values()} <= CODES


def test_an_option_of_the_url_is_named_without_its_value() -> None:
    """An unknown option is named; its value, which may be a secret, is not."""
    assert "'foo'" in url_option(TypeError("__init__() got an unexpected keyword argument 'foo'")).cause
    assert "s3cret" not in url_option(ValueError("could not use s3cret")).cause
