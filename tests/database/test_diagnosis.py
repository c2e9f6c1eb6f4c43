"""One diagnosis for whatever a driver raises: by code, by class, and honestly unknown."""

import re

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from settings.database.connectors.watched import DeadlineExceededError
from settings.database.diagnosis import CODES, DEADLINE, diagnose_database
from settings.problems import BootstrapError


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        (DeadlineExceededError("no answer"), "database-deadline", True),
        (PoolTimeoutError("QueuePool limit"), "database-pool-exhausted", True),
        (NoSuchModuleError("Can't load plugin"), "database-dialect-unknown", False),
        (ModuleNotFoundError("No module named 'psycopg'"), "database-driver-missing", False),
        (ArgumentError("Could not parse"), "database-url-invalid", False),
        (ValueError("invalid literal for int()"), "database-url-invalid", False),
        (StatementError("refused", "INSERT", {}, ValueError("badly formed")), "database-unknown-fault", False),
        (MemoryError(), "database-client-memory", False),
        (BootstrapError("DATABASE_URL", "", DEADLINE), "database-deadline", True),
        (RuntimeError("something else"), "database-unknown-fault", False),
    ],
)
def test_class_of_the_error_decides_where_no_code_does(error: Exception, code: str, transient: bool) -> None:
    """What SQLAlchemy and Python raise themselves."""
    found = diagnose_database(error)
    assert (found.code, found.transient) == (code, transient)


def test_unknown_fault_shows_what_was_said_masked() -> None:
    """It says that it is not known, with the words, but for every secret and every URL's password."""
    error = RuntimeError("cannot reach postgresql://app:tops3cret@h/d with hush")
    found = diagnose_database(error, target="the target", secrets={"hush"})
    assert "not known here (RuntimeError)" in found.cause
    assert "the target" in found.cause
    assert "tops3cret" not in found.cause
    assert "hush" not in found.cause


def test_fix_speaks_of_the_variable_that_was_used() -> None:
    """A fallback's fault is mended in DATABASE_FALLBACK_URL."""
    found = diagnose_database(RuntimeError("x"), variable="DATABASE_FALLBACK_URL")
    assert "DATABASE_FALLBACK_URL" in found.fix


def test_missing_driver_as_sqlalchemy_raises_it() -> None:
    """The plain scheme of SQLAlchemy 2.1 means psycopg 3, which is not installed."""
    with pytest.raises(ModuleNotFoundError) as caught:
        create_engine("postgresql+psycopg://h/d")
    assert diagnose_database(caught.value).code == "database-driver-missing"


def test_codes_are_stable_words() -> None:
    """Kebab case, of this room."""
    assert all(re.fullmatch(r"(database|sqlite)(-[a-z]+)+", code) for code in CODES)
