"""Whose turn it is: of all logs that are open in one process the newest handles what is logged, and no other does."""

import logging
import threading
from collections.abc import Collection
from typing import Protocol

from settings.forks import watch_forks
from settings.logs.bridge import Bridge, Takeover
from settings.logs.levels import Levels, LibraryLevels
from settings.logs.loguru_default import LoguruDefault
from settings.logs.masking import Masker
from settings.logs.uncaught import UncaughtHooks


class OpenLog(Protocol):
    """What is used of a log."""

    bridge: Bridge
    levels: Levels

    def cover(self) -> None:
        """Let loguru hand over everything that may be shown."""

    def uncover(self) -> None:
        """Let loguru hand over nothing any more."""


class Turns:
    """What the logs of a process share: handlers, levels, hooks, and what must not be shown.

    Several applications in one process, such as those of a test suite or behind a dispatcher, write one line of each
    record: the newest does, with its own levels, counts and destinations, until it closes. Handlers, levels and hooks
    are taken by the first and given back by the last, in whatever order they close; none of them shows a secret of
    any other that was open at some time since the first. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: list[OpenLog] = []
        self._takeover, self._levels, self._hooks = Takeover(), LibraryLevels(), UncaughtHooks()
        self._masker, self._over = Masker(), False
        watch_forks(self, last=True)

    def masker(self, secrets: Collection[str]) -> Masker:
        """Return the masker of all logs that are open, which knows these secrets too; a new one after the last."""
        with self._lock:
            if self._over:
                self._masker, self._over = Masker(), False
            self._masker.learn(secrets)
            return self._masker

    def enter(self, log: OpenLog) -> None:
        """Let a log handle everything from now on."""
        with self._lock:
            if not self._open:
                LoguruDefault.take()
            earlier = self._open[-1:]
            self._open.append(log)
            self._begin(log)
            for each in earlier:
                each.uncover()

    def leave(self, log: OpenLog) -> None:
        """Let the newest of the others handle everything; after the last one, give back what was taken."""
        with self._lock:
            self._open.remove(log)
            if self._open:
                self._begin(self._open[-1])
            else:
                self._give_back()
            log.uncover()
            if not self._open:
                LoguruDefault.give_back(self._masker)

    def take(self, logger: logging.Logger) -> None:
        """Let a logger of the standard library, which may have handlers of its own, end here too."""
        with self._lock:
            self._takeover.take(logger)

    def set_level(self, log: OpenLog, level: str, logger: str | None) -> None:
        """Set a level for the process, in every log that is open; nothing is done for one that is closed.

        Raises:
            ValueError: There is no such level.
        """
        with self._lock:
            if log in self._open:
                for each in self._open:
                    each.levels.set(level, logger)
                self._show(self._open[-1])

    def _begin(self, log: OpenLog) -> None:
        self._show(log)
        self._takeover.install(log.bridge, self._masker)
        self._hooks.install(self._masker)

    def _show(self, log: OpenLog) -> None:
        self._levels.put(log.levels.numbers)
        log.cover()

    def _give_back(self) -> None:
        self._hooks.restore()
        self._takeover.restore(self._masker)
        self._levels.put({})
        self._over = True

    def before_fork(self) -> None:
        """Take no lock: this one is held while loguru's is taken, which a fork has by now."""

    def after_fork_in_parent(self) -> None:
        """Nothing was taken."""

    def after_fork_in_child(self) -> None:
        """Make the lock anew; what is open stays open."""
        self._lock = threading.RLock()


TURNS = Turns()
