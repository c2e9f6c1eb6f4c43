"""What the background thread is given from outside."""

from collections.abc import Callable
from dataclasses import dataclass

from settings.problems import Diagnosis
from settings.websocket.machine import State
from settings.websocket.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the background thread is given.

    Attributes:
        outbox: Events to send.
        received: Told of each message that came in; must not block.
        changed: Told of each change of state: the state, the fault behind it, and the seconds until the next
            attempt; must not block.
        clock: A monotonic clock, in seconds.
        jitter: Factors in [0, 1) for the pauses.
        app_name: Written into each message.
    """

    outbox: Outbox
    received: Callable[[str | bytes], None]
    changed: Callable[[State, Diagnosis | None, float | None], None]
    clock: Callable[[], float]
    jitter: Callable[[], float]
    app_name: str
