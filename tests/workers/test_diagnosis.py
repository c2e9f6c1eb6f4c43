"""What goes wrong with workers says what to do, and shows no secret."""

import functools
import pickle

import pytest

from settings.workers.diagnosis import (
    CODES,
    ApplicationContextError,
    RequestContextError,
    WorkerDefinitionError,
    described,
    diagnose,
    explained,
    name_of,
)


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_diagnosis_has_a_cause_and_a_fix(code: str) -> None:
    """Every code of the table is kebab-case and can be filled in; a secret in the error is masked."""
    values = {"error": "OperationalError: redis://:hidden@broker", "scheme": "sqs", "module": "boto3"}
    found = diagnose(code, seconds=3.0, number=10, **values)
    assert code == found.code
    assert code.replace("-", "").isalnum()
    assert found.cause
    assert found.fix
    assert "hidden" not in f"{found}"


@pytest.mark.parametrize(
    "error",
    [RequestContextError("f", "why"), ApplicationContextError("f", "why"), WorkerDefinitionError("n", "c", "f")],
)
def test_errors_can_be_pickled(error: Exception) -> None:
    """They keep their words on the way to another process."""
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_error_is_described_by_type_and_first_line() -> None:
    """Only the first line is shown, and no password."""
    assert described(ValueError("amqp://app:hidden@b\nand more")) == "ValueError: amqp://app:***@b"
    assert described(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_names_of_what_can_be_called() -> None:
    """Functions, partials and objects have a name for people."""
    assert name_of(functools.partial(functools.partial(name_of))) == "name_of"

    class Report:
        def __call__(self) -> None:
            """Do nothing."""

    assert name_of(Report()) == "Report"


def test_other_errors_are_not_explained() -> None:
    """Only Flask's complaints about contexts are."""
    assert explained(RuntimeError("of its own"), name_of) is None
