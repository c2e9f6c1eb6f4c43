"""A repair of kombu's Redis transport, with which a worker outlives a broker that went away."""

import logging
from typing import Any

from kombu.transport import redis

log = logging.getLogger(__name__)


class PatientQoS(redis.QoS):
    """Leaves messages alone whose channel was closed by an outage of the broker.

    kombu 5.7 raises AttributeError from a closed channel, be it that unacknowledged messages are put back when it
    closes, or that a task ends later, which ends the whole worker. The messages are not lost: Redis keeps them, and
    they are handed out again after the visibility timeout.
    """

    def restore_unacked_once(self, *args: Any, **options: Any) -> None:
        """Put them back, or say that they will come back later; called when a channel closes, or at exit."""
        self._patiently(super().restore_unacked_once, *args, closing=True, **options)

    def ack(self, delivery_tag: str) -> None:
        """Take a message off the broker; one whose channel went with an outage is done, and comes back all the same."""
        self._patiently(super().ack, delivery_tag, closing=self.channel.closed)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put a message back or drop it; one whose channel went with an outage comes back by itself."""
        self._patiently(super().reject, delivery_tag, closing=self.channel.closed, requeue=requeue)

    def _patiently(self, do: Any, *args: Any, closing: bool, **options: Any) -> None:  # noqa: ANN401 - kombu ships no types
        try:
            do(*args, **options)
        except Exception as error:
            if not closing:
                raise  # Celery knows the faults of an open channel, and connects anew
            words = "Tasks that were running come back, after the visibility timeout at the latest (%s)"
            log.warning(words, type(error).__name__)


def outlive_the_broker() -> None:
    """Let every Redis channel of this process close without raising; idempotent."""
    redis.Channel.QoS = PatientQoS
