"""`services.websocket`: events to and from a gateway that helps when it is there and is quiet when it is not."""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from settings.forks import watch_forks
from settings.probe import Fact, HealthStatus, Reading
from settings.problems import Diagnosis
from settings.websocket.background import Background
from settings.websocket.dispatcher import Dispatcher, Run
from settings.websocket.envelope import MAX_EVENT_CHARACTERS, RefusedError, encode_payload, parse
from settings.websocket.machine import State
from settings.websocket.model import WebSocketSettings
from settings.websocket.outbox import Delivery, Outbox
from settings.websocket.target import shown
from settings.websocket.wiring import Wiring

logger = logging.getLogger(__name__)

Handler = Callable[[Any], object]
"""Called with the payload of an event."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state, as `on_change` callbacks are told.

    Attributes:
        state: The state now.
        previous: The state before.
        queued: Events that wait to be sent.
        diagnosis: The fault behind it; None when there is none.
        retry_in_seconds: Until the next attempt; None when there is none by itself, or one is under way.
    """

    state: State
    previous: State
    queued: int
    diagnosis: Diagnosis | None = None
    retry_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _View:
    """What other threads see of the connection: replaced as a whole, never changed.

    Attributes:
        state: The state now.
        since: When it began, by the client's clock.
        fault: The last fault; kept while another attempt is under way.
        gave_up: Whether the retries are used up; kept while a quiet probe is under way.
        next_at: When the next attempt begins, by the client's clock; None: none is planned.
    """

    state: State = State.DISABLED
    since: float = 0.0
    fault: Diagnosis | None = None
    gave_up: bool = False
    next_at: float | None = None


class WebSocketClient:
    """An outbound connection to the gateway of WS_URL, kept by one background thread of the process that serves.

    Thread-safe. Nothing here blocks, `close()` excepted, and `send()` never raises. A forked child starts without a
    connection, a thread and queued events of its parent, and connects when its own `start()` is called.

    Args:
        settings: The WS_ variables. WS_ENABLED=false or no WS_URL: no socket is ever opened.
        app_name: Written into each message as `app`.
        run_in_context: Calls a function with arguments in an application context; handlers and callbacks run by it.
        refused: What is wrong with the WS_URL that was given, where `settings` have none for that.
        clock: A monotonic clock, in seconds.
        jitter: Factors in [0, 1) for the pauses.
    """

    def __init__(
        self,
        settings: WebSocketSettings,
        *,
        app_name: str,
        run_in_context: Run | None = None,
        refused: Diagnosis | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._refused, self._clock = settings, refused, clock
        self._url = settings.url if settings.enabled else None
        self._target = "" if self._url is None else shown(self._url.get_secret_value())
        self._handlers: dict[str, tuple[Handler, ...]] = {}
        self._followers: tuple[Callable[[Change], object], ...] = ()
        self._outbox = Outbox(settings.queue_size)
        self._dispatcher = Dispatcher(run_in_context or _plainly)
        wiring = Wiring(self._outbox, self._receive, self._change, clock, jitter, app_name)
        self._background = Background(settings, wiring)
        self._begin_anew()
        watch_forks(self)

    @property
    def enabled(self) -> bool:
        """Whether there is a gateway at all."""
        return self._url is not None

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._view.state

    def start(self) -> None:
        """Begin to connect, in the background; does nothing where it is disabled, started or closed already."""
        with self._lock:
            if self._url is not None and not self._closed:
                self._background.start(self._url)

    def send(self, event: str, payload: object = None) -> Delivery:
        """Queue an event for the gateway, and say what became of it; never blocks, never raises.

        Args:
            event: The event's name, of at most 255 characters.
            payload: What JSON knows: dicts, lists, text, numbers, booleans, None; about 1 MiB at the most. It is
                encoded before this returns, so that it may be changed afterwards. One that cannot be encoded is
                refused, and logged with the reason.
        """
        try:
            text = encode_payload(payload)
        except RefusedError as reason:
            return self._refuse(event, str(reason))
        if not isinstance(event, str):
            return self._refuse(event, "its name is not a text")
        if len(event) > MAX_EVENT_CHARACTERS:
            return self._refuse(event, f"its name has {len(event)} characters, more than {MAX_EVENT_CHARACTERS}")
        delivery, wake = self._outbox.offer(event, text)
        if wake:
            self._background.wake_sender()
        return delivery

    def on(self, event: str, handler: Handler) -> None:
        """Call `handler` with the payload of each event of this name that comes in.

        Handlers run one after the other, in the order in which events came, on a thread of their own, in an
        application context. One that raises is logged and harms nothing.
        """
        with self._lock:
            self._handlers = {**self._handlers, event: (*self._handlers.get(event, ()), handler)}

    def on_change(self, callback: Callable[[Change], object]) -> None:
        """Call `callback` with each later change of state, as handlers are called."""
        with self._lock:
            self._followers = (*self._followers, callback)

    def retry(self) -> None:
        """Try again now, with all retries, also after a fault that cannot pass by itself."""
        self._background.retry()

    def reading(self) -> Reading:
        """Return how the connection is; asks nobody, blocks never."""
        view = self._view
        if self._url is None:
            return self._without_gateway()
        if view.fault is None:
            status = HealthStatus.HEALTHY if view.state is State.CONNECTED else HealthStatus.UNKNOWN
            return Reading(status, f"{self._target}: {self._words(view.state)}", facts=self.figures())
        status = HealthStatus.UNHEALTHY if view.gave_up else HealthStatus.FALLBACK
        detail = f"{self._target}: {self._words(view.state)}; events wait in this process"
        return Reading(status, detail, view.fault.code, view.fault.cause, view.fault.fix, self.figures())

    def _without_gateway(self) -> Reading:
        fault = self._refused
        if fault is not None and self._settings.enabled:
            detail = "WS_URL cannot be used: no event leaves this process"
            return Reading(HealthStatus.FALLBACK, detail, fault.code, fault.cause, fault.fix, self.figures())
        off = "WS_URL is not set" if fault is None and self._settings.url is None else "WS_ENABLED is false"
        return Reading(HealthStatus.DISABLED, off, facts=self.figures())

    def figures(self) -> Mapping[str, Fact]:
        """Return figures of this process: `calls == sent + queued + dropped`, at every moment."""
        view, account, now = self._view, self._outbox.account(), self._clock()
        return {
            "state": view.state.value,
            "state_seconds": round(now - view.since, 3),
            "next_attempt_seconds": None if view.next_at is None else round(max(0.0, view.next_at - now), 3),
            "attempts": self._background.attempts,
            "connections": self._background.connections,
            **asdict(account),
            "received": self._received,
            "ignored": self._ignored,
            "handlers_lost": self._dispatcher.lost,
            "handler_failures": self._dispatcher.failures,
        }

    def close(self, grace_seconds: float = 2.0) -> None:
        """Take no further events, send what is queued while connected, and end the connection and both threads.

        Takes at most `grace_seconds` and FAREWELL_SECONDS; what could not be sent by then is counted as dropped.
        Idempotent.
        """
        deadline = time.monotonic() + grace_seconds
        with self._lock:
            self._closed = True
        self._outbox.close()
        self._background.end(grace_seconds)
        self._outbox.abandon()
        self._dispatcher.close(max(0.0, deadline - time.monotonic()))

    def before_fork(self) -> None:
        """Take the locks."""
        self._lock.acquire()
        self._outbox.before_fork()
        self._dispatcher.before_fork()

    def after_fork_in_parent(self) -> None:
        """Release the locks."""
        self._dispatcher.after_fork_in_parent()
        self._outbox.after_fork_in_parent()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread, connection and queue; start at zero."""
        self._outbox.reset()
        self._dispatcher.reset()
        self._background.after_fork_in_child()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close while its own thread subscribes
        self._closed = False
        self._view = _View(since=self._clock())
        self._received = self._ignored = 0
        if self._url is None:
            self._outbox.close()

    def _refuse(self, event: object, reason: str) -> Delivery:
        name = event if isinstance(event, str) else type(event).__name__
        logger.warning("WebSocket event %.80r is not sent: %s [websocket-event-refused]", name, reason)
        return self._outbox.refuse()

    def _receive(self, text: str | bytes) -> None:
        """Hand a message to its handlers; called by the background thread."""
        found = parse(text)
        if found is None:
            self._ignored += 1
            if self._ignored == 1:
                logger.warning("WebSocket messages that are no events are ignored and counted [websocket-no-event]")
            return
        self._received += 1
        event, payload = found
        for number, handler in enumerate(self._handlers.get(event, ())):
            if number:  # each has a payload of its own: one may change what it was given, at any time
                _, payload = parse(text) or found
            self._dispatcher.post(handler, payload, size=len(text))

    def _change(self, state: State, fault: Diagnosis | None, pause: float | None) -> None:
        """Take over a new state and tell those who asked; called by the background thread."""
        before, now = self._view, self._clock()
        fault = before.fault if state is State.CONNECTING else fault
        gave_up = state is State.UNAVAILABLE or (before.gave_up and state is State.CONNECTING)
        self._view = _View(state, now, fault, gave_up, None if pause is None else now + pause)
        change = Change(state, before.state, self._outbox.account().queued, fault, pause)
        for callback in self._followers:
            self._dispatcher.post_always(callback, change)

    def _words(self, state: State) -> str:
        if state is State.DISABLED:
            return "closed" if self._closed else "connects where requests are served"
        return state.value.replace("_", " ")


def _plainly(function: Callable[..., object], *args: object) -> object:
    return function(*args)
