"""Whose an exception is that comes out of an operation on Redis."""

from settings.cache.store import UnusableValue

OURS = ("redis", "settings")
"""Packages: what is raised in a line of theirs, whatever it is, they made of an answer."""


def is_fault_of_redis(error: BaseException) -> bool:
    """Say whether Redis, its client or the network raised this, and not somebody else meanwhile.

    A signal handler runs in the midst of any line, and may raise what must reach its own code: an alarm, or Celery's
    SoftTimeLimitExceeded.
    """
    if isinstance(error, UnusableValue) or not isinstance(error, Exception):
        return False
    of_redis = {kind.__name__ for kind in type(error).__mro__ if _package(kind.__module__) == "redis"}
    if "DataError" in of_redis:
        return False  # a caller's value could not be written down, and nothing was sent
    if of_redis or isinstance(error, OSError | UnicodeError):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and _package(trace.tb_frame.f_globals.get("__name__", "")) in OURS


def _package(module: str) -> str:
    return module.partition(".")[0]
