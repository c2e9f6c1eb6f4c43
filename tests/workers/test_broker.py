"""Broker URLs that Celery's client opens, and those that it does not."""

import pytest

from settings.workers.broker import unusable_broker


@pytest.mark.parametrize(
    "url",
    ["redis://h/0", "REDISS://h/0", "rediss://h?ssl_ca_certs=/x", "redis+socket:///run/redis.sock",
     "unix:///run/redis.sock?db=1", "amqp://u:p@h//", "amqps://h/v?ssl_ca_certs=/x", "memory://",
     "filesystem://", "sqla+sqlite:///queue.db"],
)  # fmt: skip
def test_what_the_client_opens_is_usable(url: str) -> None:
    """Nothing is connected: the hosts need not exist."""
    assert unusable_broker(url) is None


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("sqs://AK:s3cret@", "broker-client-missing"),
        ("azureservicebus://policy:s3cret@h", "broker-client-missing"),
        ("gcpubsub://projects/s3cret", "broker-client-missing"),
        ("confluentkafka://u:s3cret@h:9092", "broker-client-missing"),
        ("amqp://h?password=s3cret", "broker-url-unusable"),
        ("redis://h?s3cret=1", "broker-url-unusable"),
        ("amqp://h?heartbeat=s3cret", "broker-url-unusable"),
        ("unix:///run/redis.sock?s3cret=1", "broker-url-unusable"),
        ("rediss://h?ssl_cert_reqs=s3cret", "broker-url-unusable"),
    ],
)
def test_what_it_does_not_open_has_cause_and_fix(url: str, code: str) -> None:
    """A missing client and a query that no client reads are told apart, without any part of the URL."""
    found = unusable_broker(url)
    assert found is not None
    assert found.code == code
    assert found.fix
    assert "s3cret" not in repr(found)
