"""One place for what a fork does to threads, locks and connections.

Python's fork hooks cannot be taken back, so there is one set of them over weak references. Before a fork
every watched thing takes its locks, connections first, then in the order of registration; the parent releases them,
the child makes its own anew. uWSGI forks in C and runs no Python hook: there the server's `post_fork_hook` calls
`run_in_child`, without the first step, so `after_fork_in_child` must always replace locks, not release them.

Garbage is not collected meanwhile, and connections are mended first: what a child forgets of its parent's sessions
would be rolled back on the parent's connection, and the parent would lose what it is about to commit.
"""

import gc
import os
import threading
import weakref
from itertools import count
from typing import Protocol


class ForkAware(Protocol):
    """Something that holds locks, threads or connections which a fork must not share."""

    def before_fork(self) -> None:
        """Take the locks, so that no other thread is half-way through a change."""

    def after_fork_in_parent(self) -> None:
        """Release what `before_fork` took."""

    def after_fork_in_child(self) -> None:
        """Make locks anew, forget threads, drop inherited connections without closing them, count from zero."""


_first: weakref.WeakValueDictionary[int, ForkAware] = weakref.WeakValueDictionary()
_others: weakref.WeakValueDictionary[int, ForkAware] = weakref.WeakValueDictionary()
_numbers = count()
_held: list[ForkAware] = []
_collected: list[bool] = []
"""Whether garbage was collected before the fork that is under way."""
_forking = [threading.RLock()]
"""One thread forks at a time, for all share `_held`; in a list, because a child needs a lock of its own."""


def watch_forks(thing: ForkAware, *, first: bool = False) -> None:
    """Call the three hooks of `thing` around each later fork, for as long as something else keeps it alive.

    It takes no lock: who makes something to be watched may hold one that a fork is waiting for.

    Args:
        thing: What is to be watched.
        first: Whether it comes before all that is not first, as a connection must.
    """
    (_first if first else _others)[next(_numbers)] = thing


def _in_order() -> list[ForkAware]:
    # The references are copied in one step: other threads add things at any moment, a connection for instance.
    references = [*_first.valuerefs(), *_others.valuerefs()]
    return [thing for reference in references if (thing := reference()) is not None]


def _before() -> None:
    _forking[0].acquire()
    _collected.append(gc.isenabled())
    gc.disable()
    for thing in _in_order():
        thing.before_fork()
        _held.append(thing)


def _in_parent() -> None:
    while _held:
        _held.pop().after_fork_in_parent()
    _collect_again()
    _forking[0].release()


def run_in_child() -> None:
    """Mend every watched thing in a child; called by Python's own hook, and by uWSGI's."""
    _forking[0] = threading.RLock()
    _held.clear()
    if not _collected:
        _collected.append(gc.isenabled())
        gc.disable()
    try:
        for thing in _in_order():
            thing.after_fork_in_child()
    finally:
        _collect_again()


def _collect_again() -> None:
    if _collected.pop():
        gc.enable()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=run_in_child)
