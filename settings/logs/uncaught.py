"""What nobody caught, and warnings: logged like everything else, and masked even when no log is open any more."""

import contextlib
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, TextIO

Hook = Callable[..., object]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
_log = logging.getLogger("uncaught")
_warnings = logging.getLogger("py.warnings")


class _Kind(NamedTuple):
    """One kind of hook.

    Attributes:
        module: Where it is.
        name: What it is called there.
        own: Python's own.
        leave: Says that this is nothing to be logged, so that the earlier hook does what it does.
        log: Logs what was raised, and says whether it did.
        text: Returns what Python itself would print.
    """

    module: ModuleType
    name: str
    own: Hook
    leave: Callable[..., bool]
    log: Callable[..., bool]
    text: Callable[..., str]


class _Placed:
    """A hook in its place, over an earlier one: logs while it is `live`, and later masks what Python would print.

    An earlier hook that is not Python's own (an error tracker's) is called too, after.
    """

    masker: Callable[[str], str]
    live: bool

    def __init__(self, kind: _Kind, earlier: Hook) -> None:
        self.kind, self.earlier = kind, earlier

    def __call__(self, *found: Any) -> None:
        left = self.kind.leave(*found)
        told = self.live and not left and self.kind.log(*found)
        if left or self.earlier is not self.kind.own:
            self.earlier(*found)
        elif not told and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                print(self.masker(self.kind.text(*found)), end="", file=sys.stderr)  # noqa: T201 - as Python itself


class _PlacedWarnings:
    """The hook of warnings in its place: logs while it is `live`, and later passes on."""

    def __init__(self, earlier: Callable[..., None]) -> None:
        self.earlier, self.live = earlier, True

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None or not self.live:
            self.earlier(message, category, filename, lineno, file, line)
        elif _warnings.isEnabledFor(logging.WARNING):
            text = f"{category.__name__}: {message}"
            _warnings.handle(logging.LogRecord("py.warnings", logging.WARNING, filename, lineno, text, None, None))


class UncaughtHooks:
    """Logs uncaught exceptions of the process, of threads and of finalizers, and warnings.

    Given back, a hook over one of Python's own stays where it is, and only masks from then on: an exception that leaves
    the `with` block of a service is printed after its log was closed, and may hold a secret.
    """

    def __init__(self) -> None:
        self._placed: dict[_Kind, _Placed] = {}
        self._warnings: _PlacedWarnings | None = None

    def install(self, masker: Callable[[str], str]) -> None:
        """Take the hooks; those of ours that are in place go on, and one that a later hook has covered logs no more.

        Args:
            masker: Takes the secrets out of what is not logged but printed, as Python does for Ctrl-C.
        """
        for kind in _KINDS:
            covered, current = self._placed.get(kind), getattr(kind.module, kind.name)
            placed = self._placed[kind] = current if isinstance(current, _Placed) else _Placed(kind, current)
            placed.masker, placed.live = masker, True
            if covered is not None and covered is not placed:
                covered.live = False
            setattr(kind.module, kind.name, placed)
        if warnings.showwarning is not self._warnings:
            self._retire_warnings()
            warnings.showwarning = self._warnings = _PlacedWarnings(warnings.showwarning)

    def restore(self) -> None:
        """Give back the hooks that are still ours; one that is called by a later hook logs no more."""
        for placed in self._placed.values():
            placed.live = False
            module, name = placed.kind.module, placed.kind.name
            if placed.earlier is not placed.kind.own and getattr(module, name) is placed:
                setattr(module, name, placed.earlier)
        self._retire_warnings()

    def _retire_warnings(self) -> None:
        if (placed := self._warnings) is not None:
            placed.live, self._warnings = False, None
            if warnings.showwarning is placed:
                warnings.showwarning = placed.earlier


def _of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    return "".join(traceback.format_exception(kind, error, trace))


def _log_of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> bool:
    logged = not issubclass(kind, KeyboardInterrupt) and _log.isEnabledFor(logging.CRITICAL)
    if logged:
        _log.critical("uncaught exception, the process ends", exc_info=(kind, error, trace))
    return logged


def _name_of(found: threading.ExceptHookArgs) -> str:
    return found.thread.name if found.thread else "unknown"


def _of_thread(found: Any) -> str:  # noqa: ANN401 - threading.ExceptHookArgs, whose exception is there by now
    return f"Exception in thread {_name_of(found)}:\n{_of_process(*_info(found.exc_value))}"


def _log_of_thread(found: Any) -> bool:  # noqa: ANN401 - as above
    _log.error("uncaught exception, the thread %s ends", _name_of(found), exc_info=_info(found.exc_value))
    return True


def _of_finalizer(found: Any) -> str:  # noqa: ANN401 - sys.UnraisableHookArgs exists only for type checkers
    what = found.err_msg or "Exception ignored in"
    return f"{what}: {found.object!r}\n{_of_process(*_info(found.exc_value))}"


def _log_of_finalizer(found: Any) -> bool:  # noqa: ANN401 - as above
    what = found.err_msg or "exception ignored in"
    _log.error("%s %r", what, found.object, exc_info=_info(found.exc_value))
    return True


def _info(error: BaseException) -> ExcInfo:
    return type(error), error, error.__traceback__


def _left_of_thread(found: threading.ExceptHookArgs) -> bool:
    return issubclass(found.exc_type, SystemExit) or found.exc_value is None


_KINDS = (
    _Kind(sys, "excepthook", sys.__excepthook__, lambda *_: False, _log_of_process, _of_process),
    _Kind(threading, "excepthook", threading.__excepthook__, _left_of_thread, _log_of_thread, _of_thread),
    _Kind(sys, "unraisablehook", sys.__unraisablehook__, lambda found: found.exc_value is None, _log_of_finalizer,
          _of_finalizer),
)  # fmt: skip
