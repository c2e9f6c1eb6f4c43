"""What the background thread does: opens the connection, keeps it, and says what became of it."""

import asyncio
import time
from asyncio.trsock import TransportSocket
from contextlib import suppress

from settings.problems import Diagnosis
from settings.websocket.diagnosis import FrozenError, diagnose, retry_after_seconds
from settings.websocket.envelope import message
from settings.websocket.link import Door, Link, socket_of
from settings.websocket.machine import Machine, State
from settings.websocket.outage import OutageLog
from settings.websocket.wiring import Wiring


class Keeper:
    """Keeps one connection, for as long as `run()` runs; all methods belong to the thread of its loop.

    Args:
        machine: Says when to try again.
        door: Opens connections.
        wiring: Everything outside.
        outage: Writes the lines of an outage.
        secrets: Never shown.
        patience_seconds: What one write may take before the gateway counts as frozen.

    Attributes:
        loop: The loop of its thread.
        attempts: Attempts so far.
        opened: Connections so far.
    """

    def __init__(
        self,
        machine: Machine,
        door: Door,
        wiring: Wiring,
        outage: OutageLog,
        *,
        secrets: frozenset[str],
        patience_seconds: float,
    ) -> None:
        self._machine, self._door, self._wiring, self._outage = machine, door, wiring, outage
        self._secrets, self._patience_seconds = secrets, patience_seconds
        self._asked, self._something_to_send = asyncio.Event(), asyncio.Event()
        self.loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "a keeper is made in the task that runs it"
        self._task, self._ending = task, False
        self.attempts = self.opened = 0
        self._socket: TransportSocket | None = None

    @property
    def descriptor(self) -> int:
        """Descriptor of the connection's socket; -1 when there is none, and its number may be another file's."""
        return -1 if self._socket is None else self._socket.fileno()

    async def run(self) -> None:
        """Connect, and connect again, until `end()`."""
        with suppress(asyncio.CancelledError):
            while not self._ending:
                await self._rest(await self._attempt())
        self._wiring.changed(State.DISABLED, None, None)

    def retry(self) -> None:
        """Try again now, with all retries, unless there is a connection; after an attempt under way, at once."""
        if self._machine.state is not State.CONNECTED:
            self._machine.renew()
            self._outage.renew()
            self._asked.set()

    def wake_sender(self) -> None:
        """Say that there is something to send."""
        self._something_to_send.set()

    def end(self) -> None:
        """Send what is queued, say farewell and return from `run()`; where nothing is connected, at once."""
        self._ending = True
        self._asked.set()
        self._something_to_send.set()
        if self._machine.state is not State.CONNECTED:
            self.cut()

    def cut(self) -> None:
        """Return from `run()` as soon as the connection can be closed, whatever is queued."""
        self._task.cancel()

    async def _attempt(self) -> float | None:
        self.attempts += 1
        self._asked.clear()
        self._machine.begin()
        self._tell(None, None)
        try:
            async with self._door.open() as connection:
                self._take_note(connection)
                await self._keep(connection)
        except Exception as error:  # noqa: BLE001 - whatever a network and its other side can do is diagnosed and shown
            return None if self._ending else self._failed(error)
        finally:
            self._socket = None
        return None

    def _take_note(self, connection: Link) -> None:
        self.opened += 1
        self._asked.clear()
        self._socket = socket_of(connection)
        connection.heard = self._heard
        self._machine.opened(self.loop.time())
        self._outage.opened()
        self._tell(None, None)

    async def _keep(self, connection: Link) -> None:
        """Send and receive until the connection ends, which raises, or until `end()`, which returns."""
        sender = asyncio.create_task(self._send(connection))
        receiver = asyncio.create_task(self._receive(connection))
        try:
            await asyncio.wait((sender, receiver), return_when=asyncio.FIRST_COMPLETED)
            for task in (sender, receiver):  # in this order: a sender that gives up ends the receiver too
                if task.done():
                    task.result()
        except asyncio.CancelledError:
            connection.transport.abort()  # a farewell would wait behind what the gateway does not read
            raise
        finally:
            for task in (sender, receiver):
                task.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)
            self._wiring.outbox.put_back()

    async def _send(self, connection: Link) -> None:
        while True:
            self._something_to_send.clear()
            queued = self._wiring.outbox.take()
            if queued is not None:
                await self._write(connection, queued)
            elif self._ending:
                return
            else:
                await self._something_to_send.wait()

    async def _write(self, connection: Link, queued: tuple[str, str, float]) -> None:
        event, payload, at = queued
        text = message(event, payload, app=self._wiring.app_name, at=at)
        try:
            async with asyncio.timeout(self._patience_seconds):
                await connection.send(text)
        except TimeoutError:
            connection.transport.abort()
            raise FrozenError from None
        self._wiring.outbox.sent()
        await asyncio.sleep(0)  # a write that the system takes at once does not let pongs and messages in

    async def _receive(self, connection: Link) -> None:
        while True:
            self._wiring.received(await connection.recv())

    def _failed(self, error: Exception) -> float | None:
        diagnosis = diagnose(error, secrets=self._secrets)
        asked = retry_after_seconds(error, now=time.time())
        pause = self._machine.failed(transient=diagnosis.transient, at_least=asked)
        self._outage.failed(diagnosis)
        if self._machine.state is State.UNAVAILABLE:
            self._outage.gave_up(diagnosis, pause, self._wiring.outbox.account().queued)
        self._tell(diagnosis, pause)
        return pause

    def _heard(self) -> None:
        if self._machine.heard(self.loop.time()):
            self._outage.over()

    def _tell(self, diagnosis: Diagnosis | None, pause: float | None) -> None:
        self._wiring.changed(self._machine.state, diagnosis, pause)

    async def _rest(self, pause: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._asked.wait()
