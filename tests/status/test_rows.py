"""Rows from objects and from JSON alike."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.probe import HealthStatus
from settings.status.rows import Alert, Service, moment, read

statuses = st.sampled_from([each.value for each in HealthStatus])


@given(
    st.builds(
        Service,
        name=st.text(),
        status=statuses,
        since=st.none() | st.floats(0, 4e9),
        latency_ms=st.none() | st.floats(0, 1e6),
        detail=st.text(),
        critical=st.booleans(),
        facts=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
        latencies=st.lists(st.floats(0, 1e6)).map(tuple),
    )
)
def test_a_row_survives_its_snapshot(row: Service) -> None:
    """A row that was written as JSON is read back equal."""
    own = read(Service, row)
    assert read(Service, json.loads(json.dumps(asdict(own)))) == own


def test_a_row_is_read_from_a_room_s_own_object() -> None:
    """Enumerations become words, moments seconds, and what is not shown is left out."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    facts = MappingProxyType({"hits": 1, "share": float("inf")})
    source = SimpleNamespace(
        name="cache", status=HealthStatus.FALLBACK, since=since, facts=facts, secret="x", latencies=[1.0]
    )
    row = read(Service, source)
    assert (row.status, row.since, row.latencies) == ("fallback", since.timestamp(), (1.0,))
    assert row.facts == {"hits": 1, "share": None}


def test_texts_come_out_legible() -> None:
    """What would act on a terminal or break an encoder is shown as its escape, in facts too."""
    row = read(Service, {"name": "cache", "status": "fallback", "detail": "\x1b[2J", "facts": {"a\0": "\ud800"}})
    assert (row.detail, row.facts) == (r"\x1b[2J", {r"a\x00": r"\ud800"})


def test_what_is_missing_has_a_default_or_a_name() -> None:
    """An optional column may be missing; a row without its key says which is missing."""
    assert read(Alert, {"id": 7}).severity == "low"
    with pytest.raises(AttributeError, match="'id'"):
        read(Alert, {"title": "slow"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (7, 7.0), (float("nan"), None), (10**400, None), (datetime(1970, 1, 2, tzinfo=UTC), 86400.0)],
)
def test_moments(value: object, expected: float | None) -> None:
    """A moment is a number of seconds, whatever its source has; what is none is not known."""
    assert moment(value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("since", "yesterday"), ("latency_ms", "fast"), ("facts", [1]), ("latencies", 5), ("latencies", ["fast"])],
)
def test_what_is_of_another_kind_is_named(name: str, value: object) -> None:
    """A row that a later release wrote in another way says which field it was, and is no row here."""
    with pytest.raises(ValueError, match=f"^{name}: "):
        read(Service, {"name": "cache", "status": "healthy", name: value})


def test_a_fact_of_any_kind_is_shown() -> None:
    """An application's own probe may tell what JSON does not know: it is shown as text."""
    facts = {"at": datetime(2026, 1, 1, tzinfo=UTC), "list": [1], "huge": 10**400, "share": 0.5, "well": True}
    row = read(Service, {"name": "own", "status": "healthy", "detail": None, "facts": facts})
    assert row.facts == {
        "at": "2026-01-01 00:00:00+00:00", "list": "[1]", "huge": None, "share": 0.5, "well": True,
    }  # fmt: skip
    assert row.detail == ""
