"""One URL for the cache, the broker and Celery's results: what each of them reads of it, and real runs over it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker

from settings.workers.broker_url import translated
from settings.workers.celery import build_celery
from settings.workers.model import WorkersSettings
from settings.workers.publishing import BrokerPublisher
from settings.workers.scheduler import Workers
from tests.cache.broken_redis import CERTIFICATE, started, tls
from tests.workers.conftest import MakeWorkers

Where = tuple[object, object, object, object]
PASSWORD, ENCODED = "p@ss/w%", "p%40ss%2Fw%25"


def _built(make_workers: MakeWorkers, url: str) -> tuple[Workers, Celery, BrokerPublisher]:
    workers = make_workers()
    return workers, *build_celery(workers, WorkersSettings(engine="celery", broker_url=url), app_name="tests")


def _where(options: dict[str, Any]) -> Where:
    return options.get("path") or options.get("host"), options["db"], options.get("username"), options["password"]


def _kombus_options(app: Celery) -> dict[str, Any]:
    """Return what a channel would give to redis-py; a whole channel connects."""
    transport = app.connection_for_write().transport
    channel = object.__new__(transport.Channel)
    channel.connection = transport
    options: dict[str, Any] = channel._connparams()
    return options


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("REDIS://h:1", ("h", 0, None, None)),
        ("redis://app:p%40w@h/3", ("h", 3, "app", "p@w")),
        ("redis://h/3?db=4&username=app&password=p@w", ("h", 4, "app", "p@w")),
        ("redis://one/1;redis://two/2", ("one", 1, None, None)),
        ("REDISS://:p@h/2", ("h", 2, None, "p")),
        ("unix:///run/r@x.sock", ("/run/r@x.sock", 0, None, None)),
        ("unix://:p%40w@/run/redis.sock?db=3", ("/run/redis.sock", 3, None, "p@w")),
        ("unix:///run/redis.sock?password=p@w", ("/run/redis.sock", 0, None, "p@w")),
        ("redis+socket:///run/redis.sock?virtual_host=3", ("/run/redis.sock", 3, None, None)),
    ],
)
def test_broker_and_results_are_in_the_same_place(make_workers: MakeWorkers, url: str, where: Where) -> None:
    """Host or socket, database, user and password are the same for kombu and for Celery's results."""
    _, app, _ = _built(make_workers, url)
    assert _where(_kombus_options(app)) == where
    assert _where(app.backend.connparams) == where
    assert app.conf.broker_transport_options["visibility_timeout"] > 0


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {"cert_reqs": "CERT_REQUIRED", "check_hostname": True, "ca_certs": None}),
        ("?ssl_ca_certs=%2Fca.pem", {"cert_reqs": "CERT_REQUIRED", "check_hostname": True, "ca_certs": "/ca.pem"}),
        ("?ssl_cert_reqs=none", {"cert_reqs": "CERT_NONE", "check_hostname": False, "ca_certs": None}),
        ("?ssl_cert_reqs=CERT_OPTIONAL", {"cert_reqs": "CERT_OPTIONAL", "check_hostname": True, "ca_certs": None}),
        ("?ssl_check_hostname=false", {"cert_reqs": "CERT_REQUIRED", "check_hostname": False, "ca_certs": None}),
        ("?ssl_min_version=771", {"ssl_min_version": 771}),
    ],
)
def test_certificates_are_verified_unless_the_query_says_otherwise(
    make_workers: MakeWorkers, query: str, options: dict[str, object]
) -> None:
    """Broker and results open TLS in the same way, as the cache does; Celery's own words for it are understood."""
    _, app, _ = _built(make_workers, f"rediss://h/0{query}")
    for given in (_kombus_options(app), app.backend.connparams):
        kind = given.pop("connection_class")
        connection = redis.ConnectionPool(connection_class=kind, **given).make_connection()
        assert isinstance(connection, redis.SSLConnection)
        found = {name: getattr(connection, name) for name in options}
        assert {name: getattr(value, "name", value) for name, value in found.items()} == options


@pytest.mark.parametrize(
    "url",
    ["redis://h?s3cret=1", "redis://h?ssl_cert_reqs=s3cret", "rediss://h?ssl_cert_reqs=s3cret",
     "rediss://h?ssl_min_version=s3cret", "unix:///r?db=s3cret", "redis+socket:///r?socket_timeout=s3cret"],
)  # fmt: skip
def test_what_nobody_reads_is_refused(url: str) -> None:
    """What Celery would stumble over after the call was sent; the value is in no word."""
    with pytest.raises(ValueError, match=r"^its ") as caught:
        translated(url)
    assert "s3cret" not in str(caught.value)


def test_a_translated_url_shows_no_secret() -> None:
    """Its repr may be in a traceback."""
    assert "s3cret" not in repr(translated("rediss://:s3cret@h?ssl_password=s3cret"))


@contextlib.contextmanager
def _socket(form: str) -> Iterator[str]:
    """A Redis behind a socket file and a password."""
    with started("--requirepass", PASSWORD, "--unixsocket", "redis.sock") as server:
        yield form.format(server.folder / "redis.sock")


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # by Celery, of redis-py 8
@pytest.mark.parametrize(
    "open_redis",
    [lambda: tls(f"?ssl_ca_certs={CERTIFICATE}"), lambda: _socket(f"unix://:{ENCODED}@{{}}?db=3")],
    ids=["TLS", "socket"],
)
def test_a_call_goes_out_and_is_run(
    make_workers: MakeWorkers, open_redis: Callable[[], contextlib.AbstractContextManager[str]]
) -> None:
    """A real worker takes the call, and its result is kept where the caller looks for it."""
    with open_redis() as url:
        workers, app, publisher = _built(make_workers, url)
        ran = threading.Event()
        task = workers.task(ran.set, name="sets")
        assert task.delay().fate == "queued"
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20):
            assert ran.wait(20)
            assert app.tasks["sets"].apply_async(ignore_result=False).get(timeout=20) == "ok"
        app.backend.client.close()
        app.close()
        publisher.close()


def test_an_untrusted_certificate_is_refused(make_workers: MakeWorkers) -> None:
    """Without a word in the query nothing is sent to whom nobody vouches for."""
    with tls() as url:
        workers, _, publisher = _built(make_workers, url)
        receipt = workers.task(lambda: None, name="waits").delay()
        assert (receipt.fate, receipt.code) == ("refused", "broker-unavailable")
        assert "CERTIFICATE_VERIFY_FAILED" in receipt.detail
        publisher.close()
