"""The garbage collector rests while a service is imported and booted: hardly anything made then is garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def resting_collector() -> Iterator[None]:
    """Switch automatic collection off for the with block; where it was off before, it stays off."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@cache
def keep_what_was_made() -> None:
    """Exempt what the process holds from every later collection, as servers do before they fork; the first time only.

    The classes and functions of the libraries are most of what a service ever holds. A collection that skips
    them is short, and shares their memory with the children of a fork. A later boot freezes nothing more, so that
    what an earlier one left behind can still be found.
    """
    gc.freeze()
