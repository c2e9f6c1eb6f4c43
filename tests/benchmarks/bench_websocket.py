"""P13: `send()` while not connected, against the least that a queue can cost."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from settings.websocket.client import WebSocketClient
from settings.websocket.model import WebSocketSettings
from tests.benchmarks.harness import Bar, Sampler, per_call

CALLS = 1000
"""Of one sample: an outage's worth."""

ORDER = {"order": 17, "state": "paid"}
NEVER = "ws://127.0.0.1:9"


@contextmanager
def _outage(queue_size: int, payload: object) -> Iterator[tuple[Sampler, Sampler]]:
    settings = WebSocketSettings.model_validate({"url": NEVER, "queue_size": queue_size})
    client = WebSocketClient(settings, app_name="bench")
    lock, queue = threading.Lock(), deque[object](maxlen=queue_size)

    def append() -> None:
        with lock:
            queue.append(payload)

    yield per_call(lambda: client.send("order.paid", payload), number=CALLS), per_call(append, number=CALLS)
    client.close(0)


BARS = [
    Bar(
        "P13",
        "send() of a small payload while not connected",
        "deque.append under a lock",
        10.0,
        lambda: _outage(CALLS, ORDER),
        samples=61,
    ),
    Bar(
        "P13.none",
        "send() without a payload while not connected",
        "deque.append under a lock",
        10.0,
        lambda: _outage(CALLS, None),
        samples=61,
    ),
    Bar(
        "P13.full",
        "send() while the queue is full and the oldest goes",
        "deque.append under a lock",
        10.0,
        lambda: _outage(1, ORDER),
        samples=61,
    ),
]
