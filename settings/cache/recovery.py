"""What this process wrote or deleted while Redis was away: those keys must go from Redis before it is read again."""

from collections.abc import Collection
from dataclasses import dataclass

MAX_KEYS = 10_000
"""Keys remembered in one outage; beyond them the whole prefix is purged, so that memory is bounded."""


class UnfinishedError(Exception):
    """The time for a purge was over before all was deleted."""


@dataclass(slots=True)
class Tally:
    """What happened since the process began, or was forked."""

    outages: int = 0
    failures: int = 0
    served_locally: int = 0
    local_writes: int = 0
    purged_keys: int = 0
    purged_prefixes: int = 0


@dataclass(frozen=True, slots=True)
class Purge:
    """What has to be deleted from Redis.

    Attributes:
        keys: Whole keys, prefix included.
        everything: All keys of the prefix, `keys` being empty then.
    """

    keys: tuple[str, ...] = ()
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.keys) or self.everything


class Journal:
    """Remembers keys, each once, up to `max_keys`; the caller holds a lock around each call."""

    def __init__(self, *, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._keys: dict[str, None] = {}
        self.everything = False

    def __len__(self) -> int:
        return len(self._keys)

    def note(self, keys: Collection[str] | None) -> None:
        """Remember keys; None stands for the whole prefix."""
        if keys is None:
            self.everything = True
        if self.everything:
            self._keys.clear()
            return
        self._keys.update(dict.fromkeys(keys or ()))
        if len(self._keys) > self._max_keys:
            self.note(None)

    def take(self) -> Purge:
        """Hand over what is remembered, and forget it; give it back with `put_back` when it could not be deleted."""
        purge = Purge(tuple(self._keys), self.everything)
        self._keys, self.everything = {}, False
        return purge

    def put_back(self, purge: Purge) -> None:
        """Remember again what `take` handed over, beside what came since."""
        self.note(None if purge.everything else purge.keys)
