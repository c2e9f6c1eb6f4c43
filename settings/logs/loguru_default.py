"""Loguru's own sink: away while a log of ours is open, and back after the last one."""

import contextlib
import sys

from loguru import logger

from settings.logs.masking import Masker


class LoguruDefault:
    """Loguru's own sink on standard error, which is away for as long as any of our logs is open.

    What comes back after the last one masks as that one did, and shows no values of variables: late lines of
    threads that still run hold the same secrets.
    """

    number, taken = 0, False

    @classmethod
    def take(cls) -> None:
        """Remove it, if it is there."""
        with contextlib.suppress(ValueError):
            logger.remove(cls.number)
            cls.taken = True

    @classmethod
    def give_back(cls, masker: Masker) -> None:
        """Put one back in its place, if one was there."""
        if cls.taken:
            cls.taken = False
            cls.number = logger.add(lambda line: print(masker(line), end="", file=sys.stderr), diagnose=False)  # noqa: T201 - as loguru itself would
