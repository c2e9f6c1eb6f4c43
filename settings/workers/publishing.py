"""Sending calls to a broker in bounded time, whatever the broker does."""

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from amqp.exceptions import MessageNacked
from celery import Celery
from kombu.exceptions import EncodeError, LimitExceeded
from kombu.pools import ProducerPool

from settings.forks import watch_forks
from settings.probe import HealthStatus, Reading
from settings.problems import Diagnosis
from settings.resolver import await_name
from settings.workers.broker_url import AMQP, REDIS
from settings.workers.diagnosis import described, diagnose
from settings.workers.named import NamedTransport
from settings.workers.tasks import TaskReceipt

log = logging.getLogger(__name__)

CONNECTIONS = 10


class _AnswerLostError(Exception):
    """A call went out, and no answer came back.

    Attributes:
        fault: What the client raised.
    """

    def __init__(self, fault: Exception) -> None:
        super().__init__(fault)
        self.fault = fault


def _nobody_has_it(error: BaseException | None, answers: tuple[type[BaseException], ...]) -> bool:
    """Say whether the broker said no, or nobody was there to hear; all else leaves open what became of the call."""
    while error is not None:
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError, socket.gaierror, MessageNacked, *answers)):
            return True
        error = error.__cause__ or error.__context__
    return False


class BrokerPublisher:
    """Publishes calls of Celery tasks; never raises, and after a failure refuses at once for a while.

    Args:
        app: The Celery application.
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds to wait for one answer of the broker, and for a free connection.
        retry_after: Seconds after a failure in which calls are refused at once.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        app: Celery,
        *,
        connect_timeout: float,
        timeout: float,
        retry_after: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._connect_timeout, self._timeout, self._retry_after = app, connect_timeout, timeout, retry_after
        self._clock = clock
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        self._failed_at: float | None = None
        self._diagnosis: Diagnosis | None = None
        self.published = self.refused = self.unknown = 0
        watch_forks(self)

    def publish(self, task: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> TaskReceipt:  # noqa: ANN401 - Celery ships no types
        """Return `queued`, or `refused` or `unknown` with the reason."""
        number = str(uuid.uuid4())
        if self._rests() and (known := self._diagnosis) is not None:
            return self._refuse(number, known)
        try:
            self._send(task, args, kwargs, number)
        except _AnswerLostError as error:
            return self._unsure(task.name, number, error.fault)
        except LimitExceeded:
            return self._refuse(number, diagnose("broker-busy", number=CONNECTIONS, seconds=self._timeout))
        except EncodeError as error:
            return self._refuse(number, diagnose("task-not-json", error=described(error)))
        except Exception as error:  # noqa: BLE001 - any fault of any broker; the caller is told
            return self._refuse(number, self._lost(error))
        self._answered()
        with self._lock:
            self.published += 1
        return TaskReceipt(number, "queued")

    def reading(self) -> Reading:
        """Return how the broker is, by one short connection; for a probe."""
        facts = {"published": self.published, "refused": self.refused, "unknown": self.unknown}
        try:
            with self._connection() as connection:
                self._await_name(connection)
                connection.default_channel  # noqa: B018 - connects, and asks the broker something
        except Exception as error:  # noqa: BLE001 - any fault of any broker
            found = self._lost(error)
            return Reading(HealthStatus.UNHEALTHY, found.cause, found.code, found.cause, found.fix, facts)
        self._answered()
        return Reading(HealthStatus.HEALTHY, self._app.conf.broker_url.partition(":")[0], facts=facts)

    def close(self) -> None:
        """Close the connections."""
        self._pool.force_close_all()
        self._connections.force_close_all()

    def _send(self, task: Any, args: tuple[object, ...], kwargs: dict[str, object], number: str) -> None:  # noqa: ANN401 - Celery ships no types
        """Publish a call; what fails before it goes out, or is a broker's no, is raised as it is."""
        with self._pool.acquire(block=True, timeout=self._timeout) as producer:
            self._await_name(producer.connection)
            producer.channel  # noqa: B018 - connects
            try:
                task.apply_async(
                    args, kwargs, task_id=number, producer=producer, retry=False, confirm_timeout=self._timeout
                )
            except EncodeError:
                raise
            except Exception as error:
                if _nobody_has_it(error, producer.connection.channel_errors):
                    raise
                with suppress(Exception):  # nothing hides what the call's own fault was
                    producer.connection.collect()  # a late answer would be taken for that of the next call
                raise _AnswerLostError(error) from error

    def _rests(self) -> bool:
        return self._failed_at is not None and self._clock() - self._failed_at < self._retry_after

    def _refuse(self, number: str, why: Diagnosis) -> TaskReceipt:
        with self._lock:
            self.refused += 1
        return TaskReceipt(number, "refused", why.cause, why.code, why.fix)

    def _unsure(self, name: str, number: str, error: Exception) -> TaskReceipt:
        self._lost(error)
        with self._lock:
            self.unknown += 1
        why = diagnose("broker-answer-lost", error=described(error))
        log.warning("Task %s (%s): %s [%s]. Fix: %s", name, number, why.cause, why.code, why.fix)
        return TaskReceipt(number, "unknown", why.cause, why.code, why.fix)

    def _lost(self, error: Exception) -> Diagnosis:
        """Remember a failure; the first of an outage is logged."""
        found = diagnose("broker-unavailable", error=described(error))
        with self._lock:
            first = self._diagnosis is None
            self._failed_at, self._diagnosis = self._clock(), found
        if first:
            log.warning("Tasks are refused: %s [%s]. Fix: %s", found.cause, found.code, found.fix)
        return found

    def _answered(self) -> None:
        with self._lock:
            was, self._failed_at, self._diagnosis = self._diagnosis, None, None
        if was is not None:
            log.info("Tasks are taken again: the broker answers")

    def _connection(self) -> Any:  # noqa: ANN401 - Celery ships no types
        options = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0,
                   "connect_retries_timeout": self._connect_timeout}  # fmt: skip
        scheme = self._app.conf.broker_url.partition(":")[0]
        if scheme in REDIS:
            options |= {"socket_connect_timeout": self._connect_timeout, "socket_timeout": self._timeout}
        if scheme in AMQP:
            options |= {"read_timeout": self._timeout, "write_timeout": self._timeout, "confirm_publish": True}
        return self._app.connection_for_write(
            connect_timeout=self._connect_timeout,
            transport=NamedTransport if scheme in REDIS else None,
            transport_options=options,
        )

    def _await_name(self, connection: Any) -> None:  # noqa: ANN401 - Celery ships no types
        """Wait for the name server, which py-amqp asks without a time-out; Redis' connections do so by themselves."""
        if self._app.conf.broker_url.partition(":")[0] in AMQP and not connection.connected:
            await_name(connection.hostname, connection.port or 0, self._connect_timeout)

    def _new_pool(self) -> Any:  # noqa: ANN401 - kombu annotates some of its functions only
        self._connections: Any = self._connection().Pool(limit=CONNECTIONS)
        make: Any = ProducerPool
        return make(self._connections, limit=CONNECTIONS)

    def before_fork(self) -> None:
        """Take the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Connect anew when needed; the parent's connections are left to the parent."""
        self._lock, self._pool = threading.Lock(), self._new_pool()
        self._failed_at = self._diagnosis = None
        self.published = self.refused = self.unknown = 0
