"""How each service is: probes side by side, each with its time-out, kept results, transitions told once."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf

from settings.forks import watch_forks
from settings.probe import Fact, HealthStatus, Reading
from settings.workers.diagnosis import described, diagnose

__all__ = ["HealthStatus", "ServiceHealth", "ServiceHealthManager", "Transition"]
log = logging.getLogger(__name__)
KEPT_SECONDS = 1.0
"""Results younger than this are given as they are."""
PATIENCE_SECONDS = 0.5
"""What a check waits for newer results, of services that answered within this time before."""
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

    def __init__(self, health: ServiceHealth, probe: Callable[[], object], *, timeout: float, quiet: bool) -> None:
        self.health, self.probe, self.timeout, self.quiet = health, probe, timeout, quiet
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.asked_at: float | None = None

    def overdue(self, now: float) -> float:
        """Return by how many seconds the outstanding question is beyond its time-out; negative while there is time."""
        return -self.timeout if self.asked_at is None else now - self.asked_at - self.timeout

    def patience(self) -> float:
        """Return how many seconds a request waits for this: a first answer is worth all, a slow service none."""
        if self.health.checked_at is None:
            return inf
        quick = self.health.latency_ms is not None and self.health.latency_ms < 1000 * PATIENCE_SECONDS
        return PATIENCE_SECONDS if quick else 0.0

    def note(self, reading: Reading, milliseconds: float | None) -> Transition | None:
        """Keep an answer, or the lack of one; return the change if there is one."""
        before, now = self.health, datetime.now(UTC)
        if milliseconds is not None:
            self.latencies.append(milliseconds)
        changed = before.status is not reading.status
        self.health = replace(
            before, status=reading.status, since=now if changed else before.since, checked_at=now,
            latency_ms=milliseconds, detail=reading.detail, code=reading.code, cause=reading.cause, fix=reading.fix,
            facts=dict(reading.facts), latencies=tuple(self.latencies),
        )  # fmt: skip
        return Transition(before, self.health) if changed else None


class ServiceHealthManager:
    """Asks each service side by side and keeps the answers; thread-safe, and a check never raises.

    A service that does not answer has one thread waiting for it, however often it is checked and however long
    it is frozen. A request is given what is kept; when that is older than a second, it sets off one refresh, on
    threads of its own, and waits for it as long as PATIENCE_SECONDS allow.

    Args:
        on_change: Told each change of a service's status, in order, on a thread of its own.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self, *, on_change: Callable[[Transition], object] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_change, self._clock = on_change, clock
        self._services: dict[str, _Service] = {}
        self._changed = threading.Condition()
        self._news: deque[Transition] = deque()
        self._telling = False
        self._refreshed_at: float | None = None
        self._closed = False
        watch_forks(self)

    def register(
        self,
        name: str,
        probe: Callable[[], object],
        *,
        critical: bool = False,
        timeout: float = 1.0,
        quiet: bool = False,
        status: HealthStatus = HealthStatus.UNKNOWN,
    ) -> None:
        """Watch a service; one of the same name is replaced.

        Args:
            name: Its name.
            probe: Asks it once and returns a Reading, a HealthStatus or a bool; may block, and may raise.
            critical: Whether the application is unready without it.
            timeout: Seconds to wait for an answer.
            quiet: Leave changes out of the log, since the service's own room tells of them.
            status: How it is known to be, and was told to be: only a change from it is news.

        Raises:
            ValueError: The time-out is not more than 0, or the name is empty.
        """
        if not timeout > 0 or not name:
            raise ValueError(f"health.register({name!r}, timeout={timeout!r}): give a name, and more than 0 seconds")
        with self._changed:
            health = ServiceHealth(name, status, critical=critical)
            self._services[name] = _Service(health, probe, timeout=timeout, quiet=quiet)
            self._refreshed_at = None

    def latest(self) -> Mapping[str, ServiceHealth]:
        """Return what is kept, without asking anything."""
        with self._changed:
            return {name: service.health for name, service in self._services.items()}

    def check(self) -> Mapping[str, ServiceHealth]:
        """Return what is kept, at most a second old where the services answer in time; a first check waits for all."""
        with self._changed:
            kept = None if self._refreshed_at is None else self._clock() - self._refreshed_at
            if kept is None or kept > KEPT_SECONDS:
                self._refresh()
            self._wait(_Service.patience)
            return {name: service.health for name, service in self._services.items()}

    def refresh(self) -> Mapping[str, ServiceHealth]:
        """Ask every service now and return the answers, after the longest time-out at the latest."""
        with self._changed:
            self._refresh()
            self._wait(lambda _: inf)
            return {name: service.health for name, service in self._services.items()}

    def close(self) -> None:
        """Ask nothing any more; what is kept stays."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _refresh(self) -> None:
        if self._closed:
            return
        self._refreshed_at = self._clock()
        for service in self._services.values():
            if service.asked_at is None:
                self._begin(service)
            elif service.overdue(self._refreshed_at) > 0:
                self._miss(service)

    def _begin(self, service: _Service) -> None:
        service.asked_at = self._clock()
        try:
            threading.Thread(target=self._ask, args=(service,), name="health-probe", daemon=True).start()
        except RuntimeError as error:  # no thread can be had, which says something of the process
            service.asked_at = None
            self._keep(service, _unwell("probe-failed", error=described(error)), None)

    def _wait(self, patience: Callable[[_Service], float]) -> None:
        """Wait until every service has answered, is overdue or takes too long; the lock is released meanwhile."""
        begin = self._clock()
        for service in tuple(self._services.values()):
            until = begin + patience(service)
            while service.asked_at is not None and not self._closed:
                now = self._clock()
                left, bearable = -service.overdue(now), until - now
                if min(left, bearable) <= 0 or not self._changed.wait(min(left, bearable)):
                    if left <= bearable:
                        self._miss(service)
                    break

    def _miss(self, service: _Service) -> None:
        if service.asked_at is not None:
            waited = self._clock() - service.asked_at
            self._keep(service, _unwell("probe-silent", seconds=max(waited, service.timeout)), None)

    def _ask(self, service: _Service) -> None:
        begin = time.perf_counter()
        try:
            reading = _reading_of(service.probe())
        except BaseException as error:  # a probe may raise anything, and its thread must note it
            log.debug("the probe of %s raised", service.health.name, exc_info=True)
            reading = _unwell("probe-failed", error=described(error))
        milliseconds = (time.perf_counter() - begin) * 1000
        with self._changed:
            service.asked_at = None
            self._keep(service, reading, milliseconds)
            self._changed.notify_all()

    def _keep(self, service: _Service, reading: Reading, milliseconds: float | None) -> None:
        if (change := service.note(reading, milliseconds)) is None:
            return
        self._news.append(change)
        if not self._telling:
            with contextlib.suppress(RuntimeError):  # no thread can be had now; the next news takes this along
                threading.Thread(target=self._tell_all, name="health-news", daemon=True).start()
                self._telling = True

    def _tell_all(self) -> None:
        """Tell the news in order, outside the lock and off any request's thread: a listener may take its time."""
        while True:
            with self._changed:
                if not self._news:
                    self._telling = False
                    return
                change = self._news.popleft()
                quiet = self._services[change.after.name].quiet
            if not quiet:
                _log(change)
            if self._on_change is not None:
                try:
                    self._on_change(change)
                except Exception:
                    log.exception("A listener to changes of health failed")

    def before_fork(self) -> None:
        """Take the lock."""
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Keep the registrations; nobody asks here yet."""
        self._changed = threading.Condition()
        self._news, self._telling, self._refreshed_at = deque(), False, None
        for service in self._services.values():
            service.asked_at = None


def _unwell(code: str, **values: object) -> Reading:
    found = diagnose(code, **values)
    return Reading(HealthStatus.UNHEALTHY, found.cause, found.code, found.cause, found.fix)


def _reading_of(answer: object) -> Reading:
    if isinstance(answer, Reading):
        return answer
    if isinstance(answer, HealthStatus):
        return Reading(answer)
    if isinstance(answer, bool):
        return Reading(HealthStatus.HEALTHY) if answer else _unwell("probe-said-no")
    return _unwell("probe-answer-unusable", error=type(answer).__name__)


def _log(change: Transition) -> None:
    after = change.after
    name, status = after.name, after.status
    if status in BAD:
        cause = after.cause or after.detail or "no reason given"
        log.warning("Health: %s is %s: %s [%s]. Fix: %s", name, status.value, cause, after.code, after.fix)
    elif change.before.status in BAD:
        log.info("Health: %s is %s again", name, status.value)
