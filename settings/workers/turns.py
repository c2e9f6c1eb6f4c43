"""What a job does when its turn comes, and when the next one is."""

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import inf

from settings.backoff import ceiling_seconds
from settings.workers.board import Board
from settings.workers.claiming import ClaimLike, ClaimsLike, ClaimsWatch
from settings.workers.diagnosis import described
from settings.workers.jobs import JobDefinition
from settings.workers.runs import Runner, RunResult, Watch

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 60.0
"""Jobs of the fleet are looked at at least this often: a dead owner's run is taken over, a replaced database found."""
FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 15.0
MAX_REST_SECONDS = 3600.0
EARLY_SECONDS = 1.0
CLOCKS_DIFFER_SECONDS = 30.0
"""A tick from another machine, whose clock is so much ahead at most, is for the moment of the line that comes now."""
NOTE_RETRY_SECONDS = 1.0
MOST_NOTE_SECONDS = 60.0
"""How long a run that ended on another engine's worker keeps it waiting for the database, to be written down there."""


class Turns:
    """Gives one job its turn: claims the run where that is needed, runs it, and says how long to pause.

    Args:
        board: Where definitions and statuses are.
        runner: Runs the function in its context.
        claims: Decides which process runs a job with `once=True`.
        watch: Told of every answer and failure of the claims.
        owner: Returns this process's name.
        stopping: Set when no further run should begin.
        clock: Monotonic clock, in seconds.
        wall: This moment in UTC.
        chance: Factors in [0, 1) for the jitter.
        sleep: Waits, in seconds.
    """

    def __init__(
        self,
        board: Board,
        runner: Runner,
        claims: ClaimsLike,
        watch: ClaimsWatch,
        *,
        owner: Callable[[], str] = str,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._board, self._runner, self._claims, self._watch = board, runner, claims, watch
        self._owner, self._stopping, self._chance, self._sleep = owner, stopping, chance, sleep
        self._clock, self._wall = clock, wall
        self._due: dict[str, float] = {}
        self._fires: dict[str, datetime] = {}
        self._claim_failures: dict[str, int] = {}
        self._rests: dict[str, float] = {}

    def first_pause(self, definition: JobDefinition) -> float:
        """Return the seconds until a job's first turn, set its grid, and note when that is."""
        pause = self._first_pause(definition)
        self._note_next(definition.name, pause)
        return pause

    def _first_pause(self, definition: JobDefinition) -> float:
        if definition.cron is not None:
            return self._cron_pause(definition)
        if definition.once:
            # The database knows whether it is due; processes that start together need not ask together.
            return self._chance() * min(definition.jitter, 0.5)
        self._due[definition.name] = self._clock() + definition.first
        return definition.first

    def take(self, name: str) -> float | None:
        """Give `name` its turn and return the seconds until the next; None when the process is closing."""
        definition = self._board.definition(name)
        self._board.change(name, next_run=None)
        left = self._seconds_left(definition)
        if self._stopping():
            return None
        pause = self._take_early(definition, left) if left > 0 else self._take_due(definition)
        if self._stopping():
            return None
        pause += self._chance() * definition.jitter if pause > 0 else 0.0
        self._note_next(name, pause)
        return pause

    def _note_next(self, name: str, pause: float) -> None:
        self._board.change(name, next_run=self._fires.get(name, datetime.now(UTC) + timedelta(seconds=pause)))

    def run_due(self, name: str, *, only_lost: bool = False) -> RunResult | None:
        """Claim and run a job now, for an engine that keeps the time itself; None without its turn."""
        definition = self._board.definition(name)
        result = None
        try:
            if self._rest_left(definition) > 0:
                return None
            claim = self._claim_lost(definition) if only_lost else self._claim_shortly(definition)
            if claim is not None:
                result = self._run_claimed(definition, claim, patience=MOST_NOTE_SECONDS)
        except Exception as error:  # noqa: BLE001 - as in a turn of our own: said once, and the next tick tries again
            self._away(definition, error)
        return result

    def _claim_shortly(self, definition: JobDefinition) -> ClaimLike | None:
        """Claim; a tick that came a moment before its time waits for it, or every second one would be lost."""
        claim = self._claim(definition, early_seconds=CLOCKS_DIFFER_SECONDS)
        if claim is not None or definition.cron is not None:
            return claim
        left = self._claims.next_in(definition.name)
        if left > min(definition.claim_seconds() / 4, EARLY_SECONDS):
            return None
        self._sleep(left)
        return self._claim(definition)

    def _claim(self, definition: JobDefinition, *, early_seconds: float = 0.0) -> ClaimLike | None:
        """Claim the run that is due now; a cron job's by the moment at which its line fired last."""
        name, cron, every = definition.name, definition.cron, definition.claim_seconds()
        if cron is None:
            claim = self._claims.claim(name, every=every)
        else:
            fire = cron.last_before(self._wall() + timedelta(seconds=early_seconds))
            then = cron.next_after(fire)
            latest = cron.next_after(cron.next_after(then))
            claim = self._claims.claim_fire(
                name, fire=fire.timestamp(), then=then.timestamp(), latest=latest.timestamp(), every=every
            )
        self._watch.answered()
        return claim

    def _claim_lost(self, definition: JobDefinition) -> ClaimLike | None:
        claim = self._claims.take_over(definition.name, every=definition.claim_seconds())
        self._watch.answered()
        return claim

    def _take_due(self, definition: JobDefinition) -> float:
        return self._take_claimed(definition) if definition.once else self._take_here(definition)

    def _take_early(self, definition: JobDefinition, left: float) -> float:
        """Do a cron job's run again whose owner died, long before its next time; else wait for that."""
        if not definition.once:
            return left
        try:
            lease = self._claims.lease_left(definition.name)
            if lease == 0 and (claim := self._claim_lost(definition)) is not None:
                self._run_claimed(definition, claim)
                return self._cron_pause(definition)
        except Exception as error:  # noqa: BLE001 - as where it is claimed
            return min(left, self._away(definition, error))
        self._answered(definition)
        return min(left, lease) if lease else left

    def _seconds_left(self, definition: JobDefinition) -> float:
        """Return how long it is until the job's own time, by which a turn may come too early; 0 when it has come."""
        if definition.cron is not None:
            return min((self._fires[definition.name] - self._wall()).total_seconds(), LONGEST_PAUSE_SECONDS)
        return 0.0 if definition.once else self._due[definition.name] - self._clock()

    def _take_here(self, definition: JobDefinition) -> float:
        self._run(definition, None)
        return self._next_here(definition)

    def _next_here(self, definition: JobDefinition) -> float:
        """Move on to the next point of the job's own grid that has not passed; what was missed is not made up for."""
        if definition.cron is not None:
            return self._cron_pause(definition)
        assert definition.every is not None
        now = self._clock()
        late = max(0.0, now - self._due[definition.name])
        pause = max(definition.every - late % definition.every, self._rest_seconds(definition))
        self._due[definition.name] = now + pause
        return pause

    def _take_claimed(self, definition: JobDefinition) -> float:
        if (rest := self._rest_left(definition)) > 0:
            return min(rest, LONGEST_PAUSE_SECONDS)
        try:
            claim = self._claim(definition)
            if claim is not None:
                self._run_claimed(definition, claim)
            pause = self._claims.next_in(definition.name) if definition.cron is None else self._cron_pause(definition)
        except Exception as error:  # noqa: BLE001 - whatever keeps the claims away, the job waits and the log says so
            return self._away(definition, error)
        self._answered(definition)
        return min(max(pause, self._rest_left(definition)), LONGEST_PAUSE_SECONDS)

    def _run_claimed(self, definition: JobDefinition, claim: ClaimLike, *, patience: float = inf) -> RunResult:
        self._board.change(definition.name, owner=self._owner())
        result = self._run(definition, claim)
        self._write_down(definition, claim, result, self._clock() + patience)
        return result

    def _write_down(self, definition: JobDefinition, claim: ClaimLike, result: RunResult, until: float) -> None:
        """Give the claim back; while the database is away try again, lest another process do the run once more."""
        while True:
            try:
                claim.finish(result.outcome, result.duration_seconds, result.error)
            except Exception as error:
                if self._stopping() or self._clock() >= until:
                    raise
                self._sleep(min(self._away(definition, error), NOTE_RETRY_SECONDS))
            else:
                return self._answered(definition)

    def _answered(self, definition: JobDefinition) -> None:
        self._watch.answered()
        self._claim_failures[definition.name] = 0
        self._board.change(definition.name, detail="")

    def _away(self, definition: JobDefinition, error: Exception) -> float:
        """Say once for all jobs that they wait, and come back with growing pauses."""
        diagnosis = self._watch.lost(error)
        failures = self._claim_failures.get(definition.name, 0)
        self._claim_failures[definition.name] = failures + 1
        self._board.change(definition.name, state="idle", detail=f"waits: {diagnosis.cause}")
        cap = min(MAX_RETRY_SECONDS, max(definition.interval_seconds(), FIRST_RETRY_SECONDS))
        return ceiling_seconds(FIRST_RETRY_SECONDS, cap, failures) * (0.5 + self._chance() / 2)

    def _run(self, definition: JobDefinition, claim: ClaimLike | None) -> RunResult:
        name = definition.name
        self._board.change(
            name, state="running", last_started=datetime.now(UTC), runs=self._board.status(name).runs + 1
        )
        watch = Watch(
            name,
            claim=claim,
            timeout=definition.timeout,
            on_overrun=lambda: self._board.change(name, state="overrunning"),
        )
        try:
            with watch:
                result = self._runner.run(name, definition.function)
        except RuntimeError as error:  # of the watch: what the function raises is in the result
            logger.error("Worker %s cannot be watched and is not run: %s", name, described(error))  # noqa: TRY400 - the reason says it all, the traceback is this line
            result = RunResult("failed", 0.0, described(error), error)
        return self._note(definition, _late(result, definition.timeout) if watch.overran else result)

    def _note(self, definition: JobDefinition, result: RunResult) -> RunResult:
        status, failed = self._board.status(definition.name), result.outcome == "failed"
        self._board.change(
            definition.name,
            state="idle",
            failures=status.failures + failed,
            failures_in_a_row=status.failures_in_a_row + 1 if failed else 0,
            last_duration_seconds=result.duration_seconds,
            last_outcome=result.outcome,
            last_error=result.error,
        )
        if definition.cron is None:
            self._rests[definition.name] = self._clock() + self._rest_seconds(definition)
        logger.debug("Worker %s: %s in %.3f s", definition.name, result.outcome, result.duration_seconds)
        return result

    def _rest_left(self, definition: JobDefinition) -> float:
        """Return for how long this process leaves a failing job of the fleet to others, which may do it better."""
        return self._rests.get(definition.name, 0.0) - self._clock()

    def _rest_seconds(self, definition: JobDefinition) -> float:
        """Return how long a job that fails again and again should rest at least; 0 after one failure or none."""
        failures = self._board.status(definition.name).failures_in_a_row
        if failures < 2 or not definition.backoff:
            return 0.0
        interval = definition.interval_seconds()
        return ceiling_seconds(interval, max(interval, MAX_REST_SECONDS), failures - 1)

    def _cron_pause(self, definition: JobDefinition) -> float:
        """Return the seconds until a cron job's next run, at most a minute, since the clock may be set."""
        assert definition.cron is not None
        now = self._wall()
        self._fires[definition.name] = fires = definition.cron.next_after(now)
        return min((fires - now).total_seconds(), LONGEST_PAUSE_SECONDS)


def _late(result: RunResult, limit: float | None) -> RunResult:
    """Return the result of a run that went beyond its time limit; a failure stays a failure."""
    if result.outcome == "failed" or limit is None:
        return result
    return RunResult("timeout", result.duration_seconds, f"took longer than its time limit of {limit:g} s")
