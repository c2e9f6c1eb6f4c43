"""A failed boot is an ordinary exception that ends readably where nobody catches it."""

import sys
from types import ModuleType

import pytest

from settings.boot.failure import GUNICORN_BOOT_ERROR, readable_failure, report_text
from settings.problems import BootstrapError, Diagnosis, Problem, SettingsError

WRONG = SettingsError(
    [Problem("LOG_LEVEL", "error", "unknown-choice", "it is none of the levels", "set LOG_LEVEL=INFO")]
)
BROKEN = BootstrapError("DATABASE_URL", "postgresql://app@db/app", Diagnosis("refused", "nothing listens", "start it"))


@pytest.fixture(autouse=True)
def hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the interpreter's own hook, whatever an earlier test left, and put that back after each test."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)


def _called_by(module: str, function: str, error: BaseException) -> None:
    made = ModuleType(module)
    exec(f"def {function}(self):\n    self()\n", made.__dict__)

    def boot() -> None:
        with readable_failure():
            raise error

    getattr(made, function)(boot)


@pytest.mark.parametrize("error", [WRONG, BROKEN])
def test_the_error_itself_goes_on_and_is_shown_without_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """A test catches it as it is; uncaught, the interpreter prints the report and nothing else."""
    with pytest.raises(type(error)) as caught, readable_failure():
        raise error
    assert caught.value is error
    sys.excepthook(type(error), error, None)
    assert capsys.readouterr().err == f"{report_text(error)}\n"


def test_other_errors_are_shown_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    """The hook acts on the one exception only."""
    with pytest.raises(SettingsError), readable_failure():
        raise WRONG
    sys.excepthook(LookupError, LookupError("another"), None)
    assert "LookupError: another" in capsys.readouterr().err


@pytest.mark.parametrize("error", [WRONG, BROKEN])
def test_a_gunicorn_worker_ends_with_the_status_that_stops_its_master(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is still the error that a test would catch, and an exit with status 3."""
    with pytest.raises(type(error)) as caught:
        _called_by("gunicorn.workers.base", "init_process", error)
    assert isinstance(caught.value, SystemExit)
    assert caught.value.code == GUNICORN_BOOT_ERROR
    assert report_text(error) in capsys.readouterr().err


def test_waitress_gets_a_plain_exit(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints its help for any other exception."""
    with pytest.raises(SystemExit) as caught:
        _called_by("waitress.runner", "run", WRONG)
    assert caught.value.code == 1
    assert report_text(WRONG) in capsys.readouterr().err
