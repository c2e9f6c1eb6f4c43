"""How each service is: probes side by side, each with its time-out, kept results, transitions told once."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from settings.forks import watch_forks
from settings.probe import Fact, HealthStatus, Probe, Reading
from settings.workers.diagnosis import described

__all__ = ["HealthStatus", "ServiceHealth", "ServiceHealthManager", "Transition"]
log = logging.getLogger(__name__)
KEPT_SECONDS = 1.0
"""Results younger than this are given as they are."""
LATENCIES_KEPT = 30
BAD = frozenset({HealthStatus.UNHEALTHY, HealthStatus.FALLBACK})


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """How one service was when it was asked last.

    Attributes:
        name: Its name, such as `database`.
        status: How it is.
        critical: Whether the application is unready without it.
        since: Since when it has this status.
        checked_at: When it was asked last; None before the first time.
        latency_ms: How long the last answer took; None when there was none.
        detail: What answers, masked.
        code: Code of the fault; empty when there is none.
        cause: Cause of the fault.
        fix: What a person should do.
        facts: Figures for machines.
        latencies: The last answers' durations in milliseconds, the newest last.
    """

    name: str
    status: HealthStatus = HealthStatus.UNKNOWN
    critical: bool = False
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    checked_at: datetime | None = None
    latency_ms: float | None = None
    detail: str = "not asked yet"
    code: str = ""
    cause: str = ""
    fix: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    latencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a service's status."""

    before: ServiceHealth
    after: ServiceHealth


class _Service:
    """One registered service: its probe, at most one outstanding question, its kept result."""

    def __init__(self, name: str, probe: Probe, *, critical: bool, timeout: float) -> None:
        self.probe, self.timeout = probe, timeout
        self.health = ServiceHealth(name, critical=critical)
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.asked_at: float | None = None


class ServiceHealthManager:
    """Asks each service side by side and keeps the answers; thread-safe, and a check never raises.

    A service that does not answer has one thread waiting for it, however often it is checked and however long
    it is frozen. A request is given what is kept; when that is older than a second, it also sets off one
    refresh, on threads of its own.

    Args:
        on_change: Told each change of a service's status.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self, *, on_change: Callable[[Transition], object] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_change, self._clock = on_change, clock
        self._services: dict[str, _Service] = {}
        self._changed = threading.Condition()
        self._refreshed_at: float | None = None
        self._closed = False
        watch_forks(self)

    def register(self, name: str, probe: Probe, *, critical: bool = False, timeout: float = 1.0) -> None:
        """Watch a service; one of the same name is replaced.

        Args:
            name: Its name.
            probe: Asks it once; may block, and may raise.
            critical: Whether the application is unready without it.
            timeout: Seconds to wait for an answer.
        """
        with self._changed:
            self._services[name] = _Service(name, probe, critical=critical, timeout=timeout)
            self._refreshed_at = None

    def latest(self) -> Mapping[str, ServiceHealth]:
        """Return what is kept, without asking anything."""
        with self._changed:
            return {name: service.health for name, service in self._services.items()}

    def check(self) -> Mapping[str, ServiceHealth]:
        """Return what is kept, at most a second old where the services answer; a first check waits for answers."""
        with self._changed:
            never = self._refreshed_at is None
            if not self._closed and (never or self._clock() - (self._refreshed_at or 0.0) > KEPT_SECONDS):
                self._refresh()
            if any(service.health.checked_at is None for service in self._services.values()):
                self._wait()
            return self.latest()

    def refresh(self) -> Mapping[str, ServiceHealth]:
        """Ask every service now and return the answers, each service's time-out at the longest."""
        with self._changed:
            if not self._closed:
                self._refresh()
                self._wait()
            return self.latest()

    def close(self) -> None:
        """Ask nothing any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _refresh(self) -> None:
        self._refreshed_at = self._clock()
        for service in self._services.values():
            if service.asked_at is None:
                service.asked_at = self._clock()
                threading.Thread(target=self._ask, args=(service,), name="health-probe", daemon=True).start()
            elif self._clock() - service.asked_at > service.timeout:
                self._note(service, self._silent(service), None)

    def _wait(self) -> None:
        """Wait until every service has answered or is overdue; the lock is released meanwhile."""
        for service in self._services.values():
            left = service.timeout if service.asked_at is None else service.asked_at + service.timeout - self._clock()
            answered = self._changed.wait_for(lambda s=service: self._closed or s.asked_at is None, max(0.0, left))  # type: ignore[misc] # the default binds this service
            if not answered:
                self._note(service, self._silent(service), None)

    def _silent(self, service: _Service) -> Reading:
        waited = self._clock() - (service.asked_at or self._clock())
        return Reading(
            HealthStatus.UNHEALTHY, f"no answer for {waited:.1f} s", "probe-timed-out",
            f"it did not answer within {service.timeout:g} s", "look whether it is frozen, overloaded or cut off",
        )  # fmt: skip

    def _ask(self, service: _Service) -> None:
        begin = time.perf_counter()
        try:
            reading = service.probe()
        except Exception as error:  # a probe may raise anything, and a check never does
            log.debug("a probe failed", exc_info=True)
            reading = Reading(
                HealthStatus.UNHEALTHY, described(error), "probe-failed", f"the probe raised {type(error).__name__}",
                "look at the log",
            )  # fmt: skip
        milliseconds = (time.perf_counter() - begin) * 1000
        with self._changed:
            service.asked_at = None
            self._note(service, reading, milliseconds)
            self._changed.notify_all()

    def _note(self, service: _Service, reading: Reading, milliseconds: float | None) -> None:
        before, now = service.health, datetime.now(UTC)
        if milliseconds is not None:
            service.latencies.append(milliseconds)
        service.health = replace(
            before, status=reading.status, since=before.since if before.status is reading.status else now,
            checked_at=now, latency_ms=milliseconds, detail=reading.detail, code=reading.code, cause=reading.cause,
            fix=reading.fix, facts=dict(reading.facts), latencies=tuple(service.latencies),
        )  # fmt: skip
        if before.status is not reading.status:
            self._tell(Transition(before, service.health))

    def _tell(self, change: Transition) -> None:
        name, status = change.after.name, change.after.status
        if status in BAD:
            log.warning("Health: %s is %s: %s [%s]. Fix: %s", name, status.value, change.after.cause, change.after.code,
                        change.after.fix)  # fmt: skip
        elif change.before.status in BAD:
            log.info("Health: %s is %s again", name, status.value)
        if self._on_change is not None:
            try:
                self._on_change(change)
            except Exception:
                log.exception("a listener to changes of health failed")

    def before_fork(self) -> None:
        """Take the lock."""
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Keep the registrations; nobody asks here yet."""
        self._changed = threading.Condition()
        self._refreshed_at = None
        for service in self._services.values():
            service.asked_at = None
