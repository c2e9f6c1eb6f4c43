"""The report holds a row a step, the failed one too."""

import pytest

from settings.boot.report import BootReport, Outcome


def test_rows_keep_the_order_and_the_words() -> None:
    """The table shows name, status, time and detail of each step."""
    report = BootReport()
    for name, outcome in (("database", Outcome("ok", "sqlite")), ("cache", Outcome("fallback", "in-process"))):
        with report.timed(name) as outcomes:
            outcomes.append(outcome)
    assert [(row.name, row.status, row.detail) for row in report.rows] == [
        ("database", "ok", "sqlite"),
        ("cache", "fallback", "in-process"),
    ]
    first, second = str(report).splitlines()
    assert first.split()[:2] == ["database", "ok"]
    assert second.endswith("in-process")
    assert report.milliseconds == sum(row.milliseconds for row in report.rows)


def test_a_step_that_raises_has_a_failed_row() -> None:
    """The row names the kind of error, and the error goes on."""
    report = BootReport()
    with pytest.raises(LookupError), report.timed("database"):
        raise LookupError("gone")
    assert [(row.status, row.detail) for row in report.rows] == [("failed", "LookupError")]
