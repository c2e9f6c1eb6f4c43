"""From services to one word: pass, warn or fail, for readiness and for health."""

from collections.abc import Iterable
from typing import Literal, Protocol

from settings.probe import HealthStatus

Verdict = Literal["pass", "warn", "fail"]
HEALTH_JSON = "application/health+json"


class Judged(Protocol):
    """What a verdict needs of a service."""

    @property
    def status(self) -> HealthStatus | str:
        """A HealthStatus or its value."""

    @property
    def critical(self) -> bool:
        """Whether nothing works without it."""


def verdict_of(service: Judged) -> Verdict:
    """Return what one service says of the whole: a critical one that is down, or not known yet, fails it."""
    if service.status in (HealthStatus.HEALTHY, HealthStatus.DISABLED):
        return "pass"
    if service.status == HealthStatus.FALLBACK or not service.critical:
        return "warn"
    return "fail"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of all; `pass` when there is none."""
    found = set(verdicts)
    return "fail" if "fail" in found else "warn" if "warn" in found else "pass"
