"""What is remembered of an outage: every key once, bounded, and nothing forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from settings.cache.recovery import Journal, Purge

KEYS = st.sampled_from(["a", "b", "c", "d", "e"])


def test_keys_are_handed_over_once() -> None:
    """What was taken is not remembered any more."""
    journal = Journal()
    journal.note(["a", "b", "a"])
    assert journal.take() == Purge(("a", "b"))
    assert not journal.take()


def test_beyond_the_bound_everything_is_purged() -> None:
    """More keys than the bound stand for the whole prefix, and take no memory."""
    journal = Journal()
    journal.note([str(n) for n in range(10_000)])
    assert len(journal) == 10_000
    journal.note(["one more"])
    assert len(journal) == 0
    assert journal.take() == Purge(everything=True)


def test_no_keys_are_remembered_beside_the_whole_prefix() -> None:
    """They go with it."""
    journal = Journal()
    journal.note(None)
    journal.note(["a"])
    assert len(journal) == 0
    assert journal.take() == Purge((), everything=True)


def test_a_purge_of_anything_is_true() -> None:
    """Keys without everything, and everything without keys, are something to delete."""
    assert [bool(each) for each in (Purge(), Purge(("a",)), Purge(everything=True))] == [False, True, True]


@given(st.lists(st.one_of(st.none(), st.lists(KEYS, max_size=3), st.just("take and put back")), max_size=20))
def test_nothing_is_forgotten(steps: list[list[str] | str | None]) -> None:
    """Every key noted is in the purge, or the whole prefix is, also when a purge failed in between."""
    journal, noted, everything = Journal(max_keys=3), set[str](), False
    for step in steps:
        if isinstance(step, str):
            journal.put_back(journal.take())
            continue
        journal.note(step)
        noted |= set(step or ())
        everything |= step is None
    purge = journal.take()
    assert purge.everything or (set(purge.keys) == noted and not everything)
    assert purge.everything == (everything or len(noted) > 3)
