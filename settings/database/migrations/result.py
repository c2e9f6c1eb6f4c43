"""What a run of the migrations came to."""

from dataclasses import dataclass, field
from typing import Literal

from settings.database.migrations.revisions import HEAD
from settings.problems import Diagnosis

FAILED, PENDING, AHEAD, DRIFT = "migration-failed", "migration-pending", "migration-ahead", "migration-drift"
ENDED = "migration-ended"
"""A revision ended the transaction, and what it committed stays."""


@dataclass(slots=True)
class MigrationResult:
    """What a run came to.

    Attributes:
        status: `ok`; `ahead`: a revision that this code does not know, nothing was done; `drift`: tables differ from
            their definition in a way that is not mended without a person; `failed`: nothing was changed, but for what
            a revision committed where the diagnosis says so.
        applied: Revisions that were applied, oldest first.
        created: The application's tables that were created from its metadata.
        mended: What was dropped or altered by hand and is right again.
        skipped: Tables that were there.
        reported: What was not mended, with the reason and the exact statement to run.
        milliseconds: How long it took.
        diagnosis: Cause and fix, unless `ok`.
        fingerprint: What our tables looked like when they were found right, or None.
    """

    status: Literal["ok", "ahead", "drift", "failed"] = "ok"
    applied: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    milliseconds: float = 0.0
    diagnosis: Diagnosis | None = None
    fingerprint: str | None = None

    def note_ahead(self, found: str, known: str) -> None:
        """Say that the schema is at `found`, while only `known` is known here."""
        cause = f"the schema is newer than this code: it is at {found}, and {known} is the newest known here"
        fix = "deploy the newer build, or downgrade the schema with it"
        self.status, self.diagnosis = "ahead", Diagnosis(AHEAD, cause, fix)

    def __str__(self) -> str:
        done = {"applied": self.applied, "created": self.created, "mended": self.mended}
        parts = [f"{name} {', '.join(values)}" for name, values in done.items() if values]
        if self.diagnosis is not None:
            parts.append(self.diagnosis.cause)
        return "; ".join([*parts, *self.reported]) or f"at {HEAD}, nothing to do"
