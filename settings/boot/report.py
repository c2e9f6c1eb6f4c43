"""The report of a boot: one row a step, with what was chosen and why."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

StepStatus = Literal["ok", "fallback", "disabled", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended: its status, and one masked sentence of what was chosen and why."""

    status: StepStatus
    detail: str


@dataclass(frozen=True, slots=True)
class BootStep:
    """One row of the report.

    Attributes:
        name: Name of the step, such as `database`.
        status: `ok`, `fallback`, `disabled` or `failed`.
        detail: What was chosen and why, masked.
        milliseconds: How long the step took.
    """

    name: str
    status: StepStatus
    detail: str
    milliseconds: float


@dataclass(slots=True)
class BootReport:
    """Rows of the steps in boot order; `str()` is the table that a terminal shows."""

    rows: list[BootStep] = field(default_factory=list)

    @contextmanager
    def timed(self, name: str) -> Iterator[list[Outcome]]:
        """Add a row for the with block, which puts its outcome into the list; an exception makes it `failed`."""
        begin, outcomes = time.perf_counter(), list[Outcome]()
        try:
            yield outcomes
        except BaseException as error:
            outcomes.append(Outcome("failed", type(error).__name__))
            raise
        finally:
            outcome, spent = outcomes[-1], (time.perf_counter() - begin) * 1000
            self.rows.append(BootStep(name, outcome.status, outcome.detail, spent))

    def __iter__(self) -> Iterator[BootStep]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def milliseconds(self) -> float:
        """How long all steps took together."""
        return sum(row.milliseconds for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(
            f"  {row.name:<11} {row.status:<9} {row.milliseconds:>7.1f} ms  {row.detail}" for row in self.rows
        )
