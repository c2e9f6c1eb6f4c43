"""A repair of kombu's Redis transport, with which a worker outlives a broker that went away."""

import logging
from typing import Any

from kombu.transport import redis

log = logging.getLogger(__name__)


class PatientQoS(redis.QoS):
    """Puts unacknowledged messages back when a channel closes, if the broker can be reached for it.

    kombu 5.7 raises AttributeError from a closed channel whose broker is gone, which ends the whole worker. The
    messages are not lost: Redis keeps them, and they are handed out again after the visibility timeout.
    """

    def restore_unacked_once(self, *args: Any, **options: Any) -> None:
        """Put them back, or say that they will come back later."""
        restore: Any = super().restore_unacked_once
        try:
            restore(*args, **options)
        except Exception as error:  # noqa: BLE001 - whatever a half-closed channel raises
            log.warning("Tasks that were running come back after the visibility timeout (%s)", type(error).__name__)


def outlive_the_broker() -> None:
    """Let every Redis channel of this process close without raising; idempotent."""
    redis.Channel.QoS = PatientQoS
