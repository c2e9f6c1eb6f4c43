"""Whether Redis is in use, and who may ask it again when: pure, without a lock and without a thread of its own."""

from collections.abc import Callable

from settings.problems import Diagnosis

SLOW_FACTOR = 4
"""A fault that cannot pass by itself is asked about this many times less often."""


class Breaker:
    """Closed while Redis is in use, open while it is away; the caller holds a lock around each call.

    Probes are counted from begin to begin, so that a probe that waited for a frozen server does not put the next
    one off: what comes back is asked at most one interval later.

    Args:
        retry_after: Seconds from a failure to the first probe, and between the begins of two probes.
        clock: Monotonic clock, in seconds.

    Attributes:
        diagnosis: Why it is open; None while it is closed.
        opened_at: When it opened last, on `clock`; 0 before it ever did.
    """

    def __init__(self, *, retry_after: float, clock: Callable[[], float]) -> None:
        self._retry_after, self._clock = retry_after, clock
        self.diagnosis: Diagnosis | None = None
        self.opened_at = 0.0
        self._last_try = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether Redis must be left alone."""
        return self.diagnosis is not None

    @property
    def interval(self) -> float:
        """Seconds between two probes: longer for a fault that a person has to end."""
        slow = self.diagnosis is not None and not self.diagnosis.transient
        return self._retry_after * (SLOW_FACTOR if slow else 1)

    def open(self, diagnosis: Diagnosis) -> bool:
        """Note a failure; return True when it is the one that opened the breaker."""
        if self.is_open:
            return False
        self.diagnosis = diagnosis
        self.opened_at = self._last_try = self._clock()
        return True

    def due_in(self) -> float:
        """Return the seconds until the next probe may begin, never less than 0."""
        return max(0.0, self._last_try + self.interval - self._clock())

    def claim_probe(self) -> bool:
        """Return True to the one caller that is to probe now; it must call `probe_failed` or `close` afterwards."""
        if not self.is_open or self._probing or self.due_in() > 0:
            return False
        self._probing = True
        self._last_try = self._clock()
        return True

    def probe_failed(self, diagnosis: Diagnosis) -> None:
        """Stay open, for the reason that the probe met."""
        self.diagnosis = diagnosis
        self.forget_probe()

    def close(self) -> float:
        """Use Redis again; return how long it was away, in seconds."""
        away = self._clock() - self.opened_at
        self.diagnosis = None
        self.forget_probe()
        return away

    def forget_probe(self) -> None:
        """Let the next one probe: this probe has ended, or the thread that made it stayed in the parent of a fork."""
        self._probing = False
