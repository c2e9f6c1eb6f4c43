"""One place for what a fork does to threads, locks and connections.

Python's fork hooks cannot be taken back, so there is one set of them over weak references. Before a fork
every watched thing takes its locks, connections first, the log last, the others between in the order of registration;
the parent releases them, the child makes its own anew. uWSGI forks in C and runs no Python hook: there the server's
`post_fork_hook` calls `run_in_child`, without the first step, so `after_fork_in_child` must always replace locks, not
release them.

Garbage is not collected meanwhile, and connections are mended first: what a child forgets of its parent's sessions
would be rolled back on the parent's connection, and the parent would lose what it is about to commit. A hook that fails
hinders none of the others, and is logged when all were called.
"""

import gc
import logging
import os
import threading
import weakref
from collections.abc import Callable
from itertools import count
from typing import Protocol

log = logging.getLogger(__name__)


class ForkAware(Protocol):
    """Something that holds locks, threads or connections which a fork must not share."""

    def before_fork(self) -> None:
        """Take the locks, so that no other thread is half-way through a change."""

    def after_fork_in_parent(self) -> None:
        """Release what `before_fork` took."""

    def after_fork_in_child(self) -> None:
        """Make locks anew, forget threads, drop inherited connections without closing them, count from zero."""


_Watched = weakref.WeakValueDictionary[int, ForkAware]
_first, _others, _last = _Watched(), _Watched(), _Watched()
_numbers = count()
_held: list[ForkAware] = []
_failed: list[tuple[str, BaseException]] = []
"""Hooks of the fork that is under way, and what they raised."""
_collected: list[bool] = []
"""Whether garbage was collected before the fork that is under way."""
_forking = [threading.RLock()]
"""One thread forks at a time, for all share `_held`; in a list, because a child needs a lock of its own."""


def watch_forks(thing: ForkAware, *, first: bool = False, last: bool = False) -> None:
    """Call the three hooks of `thing` around each later fork, for as long as something else keeps it alive.

    It takes no lock: who makes something to be watched may hold one that a fork is waiting for.

    Args:
        thing: What is to be watched.
        first: Whether it comes before all that is not first, as a connection must.
        last: Whether its locks are taken after all others, as those of the log must be: any thread may log while it
            holds another lock. A child mends it before the others, which may log too.
    """
    (_first if first else _last if last else _others)[next(_numbers)] = thing


def _in_order(*groups: _Watched) -> list[ForkAware]:
    # The references are copied in one step: other threads add things at any moment, a connection for instance.
    references = [reference for group in groups for reference in group.valuerefs()]
    return [thing for reference in references if (thing := reference()) is not None]


def _before() -> None:
    _forking[0].acquire()
    _collected.append(gc.isenabled())
    gc.disable()
    _held.extend(thing for thing in _in_order(_first, _others, _last) if _went_well(thing.before_fork))


def _in_parent() -> None:
    while _held:
        _went_well(_held.pop().after_fork_in_parent)
    failed = _failed.copy()
    _failed.clear()
    _collect_again()
    _forking[0].release()
    _tell(failed)


def run_in_child() -> None:
    """Mend every watched thing in a child; called by Python's own hook, and by uWSGI's."""
    _forking[0] = threading.RLock()
    _held.clear()
    _failed.clear()  # the parent tells of its own
    if not _collected:
        _collected.append(gc.isenabled())
        gc.disable()
    for thing in _in_order(_first, _last, _others):
        _went_well(thing.after_fork_in_child)
    failed = _failed.copy()
    _failed.clear()
    _collect_again()
    _tell(failed)


def _went_well(hook: Callable[[], None]) -> bool:
    try:
        hook()
    except BaseException as error:  # noqa: BLE001 - Python would print it, and call no hook that comes after
        _failed.append((getattr(hook, "__qualname__", repr(hook)), error))
        return False
    return True


def _tell(failed: list[tuple[str, BaseException]]) -> None:
    for name, error in failed:
        log.error("%s failed; all other hooks of this fork were called [fork-hook-failed]", name, exc_info=error)


def _collect_again() -> None:
    if _collected.pop():
        gc.enable()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=run_in_child)
