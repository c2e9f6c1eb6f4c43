"""The one background thread: an event loop of its own, and how other threads speak to it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import SecretStr

from settings.problems import Diagnosis
from settings.websocket.machine import Limits, Machine, State
from settings.websocket.model import WebSocketSettings
from settings.websocket.outage import OutageLog
from settings.websocket.target import secrets_of, shown
from settings.websocket.wiring import Wiring

if TYPE_CHECKING:
    from settings.websocket.keeper import Keeper

FAREWELL_SECONDS = 1.0
"""Beyond the grace time of a close, for a connection that does not want to end."""

THREAD_FAILED = Diagnosis(
    "websocket-thread-failed",
    "the thread of the connection ended by a fault of its own",
    "see the traceback in the log, and restart the process",
)

logger = logging.getLogger(__name__)


class Background:
    """Runs a keeper in a daemon thread; its library is imported there, and only there.

    Args:
        settings: Limits and time-outs.
        wiring: What the keeper is given.
    """

    def __init__(self, settings: WebSocketSettings, wiring: Wiring) -> None:
        self._settings, self._wiring = settings, wiring
        self._thread: threading.Thread | None = None
        self._keeper: Keeper | None = None
        self._ends = False

    @property
    def attempts(self) -> int:
        """Attempts of this process so far."""
        return 0 if self._keeper is None else self._keeper.attempts

    @property
    def connections(self) -> int:
        """Connections of this process so far."""
        return 0 if self._keeper is None else self._keeper.opened

    def start(self, url: SecretStr) -> None:
        """Start the thread, once."""
        if self._thread is None:
            thread = threading.Thread(target=self._live, args=(url,), name="websocket", daemon=True)
            thread.start()
            self._thread = thread

    def wake_sender(self) -> None:
        """Say that there is something to send."""
        if self._keeper is not None:
            self._post(self._keeper, self._keeper.wake_sender)

    def retry(self) -> None:
        """Ask for an attempt now."""
        if self._keeper is not None:
            self._post(self._keeper, self._keeper.retry)

    def end(self, grace_seconds: float) -> None:
        """End the thread, once what is queued is sent or `grace_seconds` are over; at most FAREWELL_SECONDS later."""
        self._ends = True
        thread, keeper = self._thread, self._keeper
        if thread is None:
            return
        if keeper is not None:
            self._post(keeper, keeper.end)
        thread.join(grace_seconds)
        if thread.is_alive() and keeper is not None:
            self._post(keeper, keeper.cut)
            thread.join(FAREWELL_SECONDS)

    def after_fork_in_child(self) -> None:
        """Forget the thread, and let go of the connection, which is the parent's."""
        descriptor = -1 if self._keeper is None else self._keeper.descriptor
        if descriptor >= 0:
            from settings.websocket.link import let_go_in_child

            let_go_in_child(descriptor)
        self._thread = self._keeper = None
        self._ends = False

    def _post(self, keeper: "Keeper", function: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            keeper.loop.call_soon_threadsafe(function)

    def _live(self, url: SecretStr) -> None:
        from settings.websocket.link import Loop

        try:
            with asyncio.Runner(loop_factory=Loop) as runner:
                runner.run(self._keep(url.get_secret_value()))
        except Exception:
            logger.exception(
                "WS_URL (%s): %s [%s]", shown(url.get_secret_value()), THREAD_FAILED.cause, THREAD_FAILED.code
            )
            self._wiring.changed(State.UNAVAILABLE, THREAD_FAILED, None)

    async def _keep(self, url: str) -> None:
        from settings.websocket.keeper import Keeper
        from settings.websocket.link import CLOSE_TIMEOUT_SECONDS, Door

        settings = self._settings
        limits = Limits(settings.max_retries, settings.retry_delay, settings.retry_max_delay, settings.cooldown)
        keeper = Keeper(
            Machine(limits, jitter=self._wiring.jitter),
            Door(settings, url),
            self._wiring,
            OutageLog(shown(url), clock=self._wiring.clock),
            secrets=secrets_of(settings),
            patience_seconds=settings.ping_timeout
            + CLOSE_TIMEOUT_SECONDS,  # a write to one that closes waits for its end
        )
        self._keeper = keeper
        if not self._ends:
            await keeper.run()
