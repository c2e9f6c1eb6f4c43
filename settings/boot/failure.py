"""How a failed boot ends: in the readable report and exit status 1, not in a page of traceback.

The error stays an ordinary exception, so that a test can catch it. Uncaught, it is shown by a `sys.excepthook`
that acts on that very exception and passes everything else on. Two servers catch exceptions of their own:
a gunicorn worker that exits with 1 is started again for ever, only its status 3 stops the master; waitress
prints its help text for any exception, but lets SystemExit pass.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from settings.boot.serving import booting_gunicorn_worker, is_called_from
from settings.problems import BootstrapError, SettingsError

GUNICORN_BOOT_ERROR = 3
"""The exit status of a worker that makes gunicorn's master stop instead of starting another (gunicorn.errors)."""


class _StopsGunicorn(SystemExit):
    """Mixed into a boot's error inside a gunicorn worker."""


class _WorkerSettingsError(SettingsError, _StopsGunicorn):
    """A SettingsError that ends a gunicorn worker with the status that stops its master."""


class _WorkerBootstrapError(BootstrapError, _StopsGunicorn):
    """A BootstrapError that ends a gunicorn worker with the status that stops its master."""


def report_text(error: BaseException) -> str:
    """Return what a person reads of a failed boot."""
    return f"bootstrap failed: {error}"


def show_readably(error: BaseException) -> None:
    """Let the interpreter print `error` as its report, should nobody catch it."""
    earlier = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if value is error:
            print(report_text(error), file=sys.stderr)  # noqa: T201 - the last words of a process, its log is closed
        else:
            earlier(kind, value, trace)

    sys.excepthook = hook


def _for_gunicorn(error: SettingsError | BootstrapError) -> SettingsError | BootstrapError:
    if isinstance(error, SettingsError):
        stopping: _WorkerSettingsError | _WorkerBootstrapError = _WorkerSettingsError(error.problems)
    else:
        stopping = _WorkerBootstrapError(error.variable, error.target, error.diagnosis)
    stopping.code = GUNICORN_BOOT_ERROR
    return stopping


@contextmanager
def readable_failure() -> Iterator[None]:
    """Turn a SettingsError or BootstrapError of the with block into one that ends this process readably."""
    try:
        yield
    except (SettingsError, BootstrapError) as error:
        if booting_gunicorn_worker() is not None:
            print(report_text(error), file=sys.stderr)  # noqa: T201 - before gunicorn's own words
            raise _for_gunicorn(error) from None
        if is_called_from("waitress.runner", "run"):
            print(report_text(error), file=sys.stderr)  # noqa: T201 - waitress prints its help instead
            raise SystemExit(1) from None
        show_readably(error)
        raise
