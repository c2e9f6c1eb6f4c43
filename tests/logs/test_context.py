"""Fields of the place where a line is logged, and the number of a request."""

import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.logs.context import bound, current_fields, request_id_from


def test_blocks_nest_and_end() -> None:
    """An inner field hides an outer one, and each ends with its block, by an error too."""
    with bound(request_id="a", path="/"):
        with suppress(KeyError), bound(request_id="b"):
            assert dict(current_fields()) == {"request_id": "b", "path": "/"}
            raise KeyError
        assert dict(current_fields()) == {"request_id": "a", "path": "/"}
    assert dict(current_fields()) == {}


def test_another_thread_has_fields_of_its_own() -> None:
    """What one request binds never shows on another's lines."""
    seen: list[dict[str, object]] = []
    with bound(request_id="a"):
        thread = threading.Thread(target=lambda: seen.append(dict(current_fields())))
        thread.start()
        thread.join()
    assert seen == [{}]


@pytest.mark.parametrize("header", ["a", "0af7651916cd43dd8448eb211c80319c", "req-1._:@=+/", "A" * 128])
def test_a_well_formed_header_is_kept(header: str) -> None:
    """What a proxy has given stays, so that its log and ours meet."""
    assert request_id_from(header) == header


@pytest.mark.parametrize(
    "header", [None, "", "a b", "a\nb", "a\r\nX: y", "é", "-a", "A" * 129, "a\x1b[31m", '"', "a\n"]
)
def test_anything_else_is_replaced(header: str | None) -> None:
    """A missing or malformed header never gets into a log or a response."""
    made = request_id_from(header)
    assert len(made) == 32
    assert int(made, 16) >= 0


@given(st.text())
def test_what_comes_out_is_always_well_formed(header: str) -> None:
    """No header leads to a number that is not well-formed itself."""
    made = request_id_from(header)
    assert request_id_from(made) == made


def test_made_numbers_differ() -> None:
    """Two requests have two numbers."""
    assert len({request_id_from(None) for _ in range(1000)}) == 1000
