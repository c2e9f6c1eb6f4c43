"""What a room says of its service when it is asked: the one shape that health, status and metrics read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Fact = str | int | float | bool | None


class HealthStatus(StrEnum):
    """The five answers to "how is this service?"."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DISABLED = "disabled"
    FALLBACK = "fallback"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of one service.

    Attributes:
        status: How it is.
        detail: What answers, or what was chosen and why; masked, fit for a page.
        code: Stable kebab-case code of the fault; empty when there is none.
        cause: Likely cause of the fault; empty when there is none.
        fix: What a person should do; empty when there is nothing to do.
        facts: Figures and words for machines (`{"mode": "redis", "pool_in_use": 3}`), names in snake_case.
    """

    status: HealthStatus
    detail: str = ""
    code: str = ""
    cause: str = ""
    fix: str = ""
    facts: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))


Probe = Callable[[], Reading]
"""Asks a service once. May block for as long as the service's own time-outs let it, and may raise."""
