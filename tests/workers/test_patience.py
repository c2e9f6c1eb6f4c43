"""A worker outlives the channels that an outage of its Redis has closed."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.transport import redis as transport

from settings.workers.patience import outlive_the_broker
from tests.servers import RedisServer


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis channels that outlive their broker, for one test."""
    monkeypatch.setattr(transport.Channel, "QoS", transport.Channel.QoS)
    outlive_the_broker()


@pytest.fixture
def message(patient: None, own_redis: RedisServer) -> Iterator[Any]:
    """A message that was taken and not acknowledged yet."""
    untyped: Any = Connection
    with untyped(own_redis.url()) as connection:
        queue = connection.SimpleQueue("jobs")
        queue.put({"job": 1})
        yield queue.get(timeout=5)


def test_message_of_an_open_channel_is_acknowledged(message: Any, own_redis: RedisServer) -> None:
    """Nothing of it is left at the broker."""
    message.ack()
    assert own_redis.client().hlen("unacked") == 0


@pytest.mark.parametrize("end", ["ack", "reject", "requeue"])
def test_task_that_ends_after_an_outage_ends_no_worker(
    message: Any, own_redis: RedisServer, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """The consumer has let its channel go: one line and no error, which would end the whole worker."""
    own_redis.kill()
    message.channel.close()
    own_redis.start()
    message.channel._disconnect_pools()  # what the channel of a worker has lost by then
    caplog.set_level(logging.WARNING)
    caplog.clear()
    getattr(message, end)()
    assert [each.partition(" (")[0] for each in caplog.messages] == [
        "Tasks that were running come back, after the visibility timeout at the latest"
    ]


def test_channel_is_closed_while_its_broker_is_away(
    message: Any, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What was not acknowledged cannot be put back: one line and no error."""
    own_redis.kill()
    message.channel.close()
    assert len([each for each in caplog.messages if each.startswith("Tasks that were running come back")]) == 1


def test_fault_of_an_open_channel_is_celerys_to_mend(message: Any, own_redis: RedisServer) -> None:
    """The worker must learn that its connection is gone."""
    own_redis.kill()
    with pytest.raises(message.channel.connection.client.connection_errors):
        message.ack()
