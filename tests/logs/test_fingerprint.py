"""What makes two errors the same, and what does not."""

import time
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.logs.fingerprint import _VARIABLE, Fingerprints, without_variables

SAME = [
    ("order 17 failed", "order 4711 failed"),
    ("took 1.5e-05 s, -3 left", "took 12 s, 8 left"),
    ("at 0x7f3a2b10", "at 0xdeadBEEF"),
    (f"id {uuid.UUID(int=1)}", f"id {uuid.UUID(int=2**127 + 5)}"),
    ("commit deadbeef1 gone", "commit 0a1b2c3d4e5f gone"),
    ("at 2026-11-25T02:33:06.123Z", "at 2025-01-02T12:00:00Z"),
    ("on Wed Nov 25 02:33:06 2026", "on Sat Jan 3 12:33:06 2027"),
    ("peer 10.0.0.1:5432 refused", "peer 192.168.17.4:6379 refused"),
    ("peer fe80::1 refused", "peer 2001:db8::ff00:42:8329 refused"),
    ("no user 'alice'", "no user 'bob'"),
    ('no table "a b" here', 'no table "c" here'),
    ("no key b'session'", "no key b'basket'"),
    ("mail to alice@example.com", "mail to b.c@mail.example.org"),
    ("GET /users/17/orders", "GET /users/4711/orders"),
    ("GET /users/ab12cd/orders", "GET /users/x9y/orders"),
    ("no customer cus_NffrFeUfNV2Hib", "no customer cus_9fK2xQ1abLw0Zt"),
    ("no order 01ARZ3NDEKTSV4RRFFQ69G5FAV", "no order 01J9ZQ4W8B7YH3M2K6T5R0XCVE"),
    ("no key 2fN8-xK_q7RzT1bVw4mYcA", "no key dQw4w9WgXcQ_a-B5kL0pZx"),
    ("no pod shop-7d9f8k6c5d-x2x4z", "no pod shop-5c8m7f9d6b-4k9wq"),
    (f"body '{'a' * 3000}' refused", f"body '{'b' * 3000}' refused"),
    (f"body {'a' * 3000}1 refused", f"body {'a' * 3000}b refused"),
]
DIFFERENT = [
    ("order failed", "payment failed"),
    ("can't read the list, don't", "can't write the list, don't"),
    ("md digest", "sha digest"),
    ("GET /users/17/orders", "GET /users/17/payments"),
    ("/var/log missing", "/var/lib missing"),
    ("no orders2", "no items2"),
    ("no customers_2024_q1_archive", "no invoices_2024_q1_archive"),
    ("S3UploadFailedError", "S3DownloadFailedError"),
    ("no sha256", "no md5sum"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("python3 on x86_64", "python3 on ppc64"),
    ("no customer cus_NffrFeUfNV2Hib", "no customer pi_NffrFeUfNV2Hib"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_varies_is_taken_out(one: str, other: str) -> None:
    """Two texts that differ in a variable only are the same error."""
    fingerprints = Fingerprints()
    assert fingerprints.of("a.py", 1, one) == fingerprints.of("a.py", 1, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_texts_stay_different(one: str, other: str) -> None:
    """Two texts that differ in a word are two errors, at one place too."""
    fingerprints = Fingerprints()
    assert fingerprints.of("a.py", 1, one) != fingerprints.of("a.py", 1, other)


@given(st.integers(), st.uuids(), st.text(st.characters(exclude_characters="'\n", codec="utf-8"), max_size=20))
def test_numbers_uuids_and_quoted_text_never_count(number: int, identity: uuid.UUID, name: str) -> None:
    """Whatever the values are, the text without them is one."""
    assert without_variables(f"order {number} of {identity} for '{name}' failed") == "order * of * for * failed"


@pytest.mark.parametrize(
    "piece", ["a", "ab", "a.", "1", "a@", "'", "/a", "a:", "Jan", "\x1b[", "0x", "A-", "a1", "A1-"]
)
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    """A text that others have made, of any shape, holds nobody up: its cost grows with its length only."""
    text = piece * (100_000 // len(piece))
    begin = time.process_time()
    _VARIABLE.sub("*", text)
    assert time.process_time() - begin < 5  # a pattern that begins anew at each letter takes minutes


def test_a_huge_text_costs_no_more_than_a_long_one() -> None:
    """What is held back holds up no other thread, however much of it there is."""

    def seconds(text: str) -> float:
        begin = time.process_time()
        without_variables(text)
        return time.process_time() - begin

    text = "some words and numbers 12 http://x/y?z=1 'quoted' " * 20_000
    assert min(seconds(text) for _ in range(5)) < 20 * min(seconds(text[:2000]) for _ in range(5))


@given(st.text(), st.text())
def test_the_same_every_time(file: str, message: str) -> None:
    """A fingerprint is a pure function of what it is made of, kept or not, and is short."""
    kept, fresh = Fingerprints(), Fingerprints()
    kept.of(file, 1, message)
    assert kept.of(file, 1, message) == fresh.of(file, 1, message)
    assert len(kept.of(file, 1, message)) == 14


def _caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except (ConnectionError, ValueError) as error:
        return error
    raise AssertionError("nothing was raised")


def _refuse(text: str = "refused") -> None:
    raise ConnectionError(text)


def _one() -> None:
    _refuse()


def _other() -> None:
    _refuse()


def test_the_place_of_the_call_counts() -> None:
    """The same text at two lines is two errors."""
    fingerprints = Fingerprints()
    assert fingerprints.of("a.py", 1, "x") != fingerprints.of("a.py", 2, "x") != fingerprints.of("b.py", 2, "x")


def test_a_shared_wrapper_merges_nothing() -> None:
    """Two ways to one raising line, logged by one line, are two errors; one way twice is one."""
    fingerprints = Fingerprints()
    found = [fingerprints.of("a.py", 1, "failed", _caught(way)) for way in (_one, _other, _one)]
    assert found[0] == found[2] != found[1]


def test_two_functions_of_one_shape_are_two_errors() -> None:
    """Short functions that raise at the same offset of their code are told apart."""

    def first() -> None:
        raise ValueError("no")

    def second() -> None:
        raise ValueError("no")

    fingerprints = Fingerprints()
    found = {fingerprints.of("a.py", 1, "failed", _caught(function)) for function in (first, second)}
    assert len(found) == 2


def test_the_text_of_the_record_does_not_count_beside_an_exception() -> None:
    """Flask names the path of the request there: a fault of the database is one error for all paths."""
    fingerprints = Fingerprints()
    found = {fingerprints.of("a.py", 1, f"Exception on {path}", _caught(_refuse)) for path in ("/a", "/b")}
    assert len(found) == 1


def test_what_an_exception_was_raised_from_counts() -> None:
    """The chain of types is part of an error."""
    fingerprints = Fingerprints()

    def wrapped(cause: Exception) -> Exception:
        error = RuntimeError("failed")
        error.__cause__ = cause
        return error

    found = {fingerprints.of("a.py", 1, "", wrapped(cause)) for cause in (ValueError(), KeyError(), ValueError())}
    assert len(found) == 2


def _raised_from(fault: str, *, cause: bool) -> Exception:
    try:
        try:
            raise ValueError(fault)
        except ValueError as error:
            if cause:
                raise ConnectionError("the call failed") from error
            raise ConnectionError("the call failed")  # noqa: B904 - as much code is written
    except ConnectionError as error:
        return error


@pytest.mark.parametrize("cause", [True, False])
def test_one_wrapping_exception_makes_no_two_faults_one(cause: bool) -> None:
    """What is raised from two faults by one line of a wrapper are two errors; their numbers do not count."""
    fingerprints = Fingerprints()
    faults = ("no card 7", "no card 8", "no stock")
    found = [fingerprints.of("a.py", 1, "", _raised_from(fault, cause=cause)) for fault in faults]
    assert found[0] == found[1] != found[2]
    assert found == [Fingerprints().of("a.py", 1, "", _raised_from(fault, cause=cause)) for fault in faults]


def test_a_group_is_what_its_members_are() -> None:
    """A task group is a wrapper as well; how many members failed alike, and in which order, is no difference."""
    card, stock = ValueError("no card 7"), KeyError("stock")

    def of(*members: Exception) -> str:
        return Fingerprints().of("a.py", 1, "", ExceptionGroup("unhandled errors", members))

    assert of(card) == of(card, ValueError("no card 8")) != of(stock)
    assert of(card, stock) == of(stock, card) != of(card)


def test_a_cause_that_is_false_counts() -> None:
    """An exception with a length of zero is an exception."""

    class EmptyError(Exception):
        def __len__(self) -> int:
            return 0

    bare, wrapped = ValueError("failed"), ValueError("failed")
    wrapped.__cause__ = EmptyError()
    assert Fingerprints().of("a.py", 1, "", bare) != Fingerprints().of("a.py", 1, "", wrapped)


def test_a_recursion_of_another_depth_is_the_same_error() -> None:
    """Each line of the way counts once."""

    def down(depth: int) -> None:
        if depth == 0:
            raise ValueError("too deep")
        down(depth - 1)

    fingerprints = Fingerprints()
    assert len({fingerprints.of("a.py", 1, "", _caught(lambda depth=depth: down(depth))) for depth in (3, 9)}) == 1  # type: ignore[misc] # mypy cannot infer a lambda with a default


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Exceptions that are each other's context are counted, not followed for ever."""
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert Fingerprints().of("a.py", 1, "", one)


def test_an_exception_that_cannot_be_printed_has_a_fingerprint() -> None:
    """A broken __str__ is no reason to lose a record."""

    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    fingerprints = Fingerprints()
    assert fingerprints.of("a.py", 1, "", BrokenError()) == fingerprints.of("a.py", 1, "", BrokenError())


def test_what_is_kept_is_bounded() -> None:
    """Very many and very long texts leave nothing behind."""
    fingerprints = Fingerprints()
    for n in range(2_000):
        fingerprints.of("a.py", n, "x")
    fingerprints.of("a.py", 1, "y" * 10_000)
    assert len(fingerprints.kept) <= 256
    assert all(len(str(key[2])) < 5_000 for key in fingerprints.kept)
