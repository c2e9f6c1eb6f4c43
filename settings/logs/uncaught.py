"""What nobody caught, and warnings: logged like everything else."""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, TextIO

Hook = Callable[..., None]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
_log = logging.getLogger("uncaught")
_warnings = logging.getLogger("py.warnings")


class UncaughtHooks:
    """Logs uncaught exceptions of the process, of threads and of finalizers, and warnings.

    A hook that was there before and is not Python's own (an error tracker's) is called too, after.

    Args:
        masker: Takes the secrets out of what is not logged but printed, as Python does for Ctrl-C.
    """

    def __init__(self, masker: Callable[[str], str]) -> None:
        self._masker = masker
        self._before: list[tuple[ModuleType, str, Hook, Hook]] = []
        self._ended = False

    def install(self) -> None:
        """Take the hooks."""
        self._replace(sys, "excepthook", self._on_process)
        self._replace(threading, "excepthook", self._on_thread)
        self._replace(sys, "unraisablehook", self._on_unraisable)
        self._replace(warnings, "showwarning", self._on_warning)

    def restore(self) -> None:
        """Give back the hooks that are still ours; one that is called by a later hook passes everything on from now."""
        self._ended = True
        while self._before:
            module, name, earlier, ours = self._before.pop()
            if getattr(module, name) is ours:
                setattr(module, name, earlier)

    def _replace(self, module: ModuleType, name: str, make: Callable[[Hook], Hook]) -> None:
        earlier = getattr(module, name)
        made = make(earlier)

        def ours(*arguments: Any, **options: Any) -> None:
            (earlier if self._ended else made)(*arguments, **options)

        setattr(module, name, ours)
        self._before.append((module, name, earlier, ours))

    def _on_process(self, earlier: Hook) -> Hook:
        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            logged = not issubclass(kind, KeyboardInterrupt) and _log.isEnabledFor(logging.CRITICAL)
            if logged:
                _log.critical("uncaught exception, the process ends", exc_info=(kind, error, trace))
            if earlier is not sys.__excepthook__:
                earlier(kind, error, trace)
            elif not logged and sys.stderr is not None:
                text = "".join(traceback.format_exception(kind, error, trace))
                print(self._masker(text), end="", file=sys.stderr)  # noqa: T201 - as Python itself would

        return hook

    def _on_thread(self, earlier: Hook) -> Hook:
        def hook(found: threading.ExceptHookArgs) -> None:
            if issubclass(found.exc_type, SystemExit) or found.exc_value is None:
                return earlier(found)
            name = found.thread.name if found.thread else "unknown"
            _log.error("uncaught exception, the thread %s ends", name, exc_info=_info(found.exc_value))
            if earlier is not threading.__excepthook__:
                earlier(found)
            return None

        return hook

    def _on_unraisable(self, earlier: Hook) -> Hook:
        def hook(found: Any) -> None:  # noqa: ANN401 - sys.UnraisableHookArgs exists only for type checkers
            if found.exc_value is None:
                return earlier(found)
            what = found.err_msg or "exception ignored in"
            _log.error("%s %r", what, found.object, exc_info=_info(found.exc_value))
            if earlier is not sys.__unraisablehook__:
                earlier(found)
            return None

        return hook

    def _on_warning(self, earlier: Hook) -> Hook:
        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if file is not None:
                return earlier(message, category, filename, lineno, file, line)
            if _warnings.isEnabledFor(logging.WARNING):
                text = f"{category.__name__}: {message}"
                _warnings.handle(logging.LogRecord("py.warnings", logging.WARNING, filename, lineno, text, None, None))
            return None

        return show


def _info(error: BaseException) -> ExcInfo:
    return type(error), error, error.__traceback__
