"""The store in this process: bounded, forgetting in time, and answering as Redis does."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from settings.cache.client import RedisStore, connect
from settings.cache.memory import MemoryStore
from settings.cache.model import RedisSettings
from settings.cache.store import Store, UnusableValue
from tests.cache.conftest import Clock
from tests.servers import RedisServer

KEYS = st.sampled_from(["app:a", "app:b", "app:c"])
VALUES = st.sampled_from([b"", b"0", b"41", b"-7", b"9223372036854775807", b"!x", b" 5", b"007"])
DELTAS = st.sampled_from([-1, 1, 40])
SECONDS = st.sampled_from([None, 60])
OPERATIONS = st.one_of(
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("get_many"), st.lists(KEYS, min_size=1, max_size=3)),
    st.tuples(st.just("has"), KEYS),
    st.tuples(st.just("set_many"), st.dictionaries(KEYS, VALUES, min_size=1), SECONDS),
    st.tuples(st.just("add"), KEYS, VALUES, SECONDS),
    st.tuples(st.just("delete_many"), st.lists(KEYS, min_size=1, max_size=3)),
    st.tuples(st.just("unlink_many"), st.lists(KEYS, min_size=1, max_size=3)),
    st.tuples(st.just("inc"), KEYS, DELTAS),
    st.tuples(st.just("clear")),
)


def outcome(store: Store, operation: tuple[Any, ...]) -> object:
    """Return what an operation returned, or that the value could not be used."""
    name, *arguments = operation
    try:
        return getattr(store, name)(*arguments)
    except UnusableValue:
        return "unusable"


@given(st.lists(OPERATIONS, max_size=25))
@example(
    [("set_many", {"app:a": b" 5", "app:b": b"007", "app:c": b"-0"}, None), *(("inc", f"app:{x}", 1) for x in "abc")]
)
@example([("set_many", {"app:a": b"9223372036854775807"}, 60), ("inc", "app:a", 1), ("inc", "app:a", -1)])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_answers_as_redis_does(redis_server: RedisServer, operations: list[tuple[Any, ...]]) -> None:
    """For any operations in any order this store and a real Redis return the same."""
    memory = MemoryStore(max_entries=100)
    redis_settings = RedisSettings.model_validate({"url": redis_server.url()})
    store = RedisStore(lambda: connect(redis_settings), prefix="app:")
    store.clear()
    assert [outcome(memory, each) for each in operations] == [outcome(store, each) for each in operations]
    store.close()


def test_a_finalizer_may_use_what_its_thread_is_using() -> None:
    """An operation within an operation, as signal handlers and finalizers make them, waits for nobody."""
    found: list[object] = []

    def interrupted() -> float:
        if not found:
            found.append("interrupted")
            store.set_many({"other": b"1"}, None)
            found.append(store.get("other"))
        return 100.0

    store = MemoryStore(max_entries=1, clock=interrupted)
    store.set_many({"key": b"1"}, None)
    thread = threading.Thread(target=store.set_many, args=({"key": b"2"}, 60), daemon=True)
    thread.start()
    thread.join(10)
    assert found == ["interrupted", b"1"]
    assert store.get("key") == b"2"


def test_least_recently_used_goes_first() -> None:
    """Beyond the bound the entry goes that was asked for longest ago."""
    memory = MemoryStore(max_entries=2)
    memory.set_many({"a": b"1", "b": b"2"}, None)
    memory.get("a")
    memory.set_many({"c": b"3"}, None)
    assert memory.get_many(["a", "b", "c"]) == [b"1", None, b"3"]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), max_size=80), st.integers(1, 10))
def test_never_more_entries_than_the_bound(writes: list[tuple[int, int]], bound: int) -> None:
    """Whatever is written, no more than the bound is kept, and the last write is."""
    memory = MemoryStore(max_entries=bound)
    for first, count in writes:
        memory.set_many({str(first + n): b"x" for n in range(count)}, None)
        assert len(memory) <= bound
        assert memory.has(str(first + count - 1))


def test_entries_end_in_time() -> None:
    """An entry is gone once its time-out has passed, and not before."""
    clock = Clock()
    memory = MemoryStore(max_entries=10, clock=clock)
    memory.set_many({"a": b"1"}, 60)
    memory.set_many({"b": b"1"}, None)
    clock.now += 59.9
    assert memory.has("a")
    clock.now += 0.1
    assert not memory.has("a")
    assert memory.add("a", b"2", 60)
    clock.now += 1e9
    assert memory.has("b")


def test_in_an_outage_nothing_lives_longer_than_the_default() -> None:
    """With a ceiling, no time-out exceeds it, not even for ever."""
    clock = Clock()
    memory = MemoryStore(max_entries=10, longest_seconds=300, clock=clock)
    memory.set_many({"long": b"1", "longer": b"1"}, 10_000)
    memory.add("for ever", b"1", None)
    memory.inc("counter", 1)
    clock.now += 300
    assert memory.get_many(["long", "longer", "for ever", "counter"]) == [None] * 4


def test_a_number_keeps_its_time_out() -> None:
    """Adding to a number does not make it live longer."""
    clock = Clock()
    memory = MemoryStore(max_entries=10, clock=clock)
    memory.set_many({"n": b"1"}, 60)
    clock.now += 30
    assert memory.inc("n", 5) == 6
    clock.now += 30
    assert memory.inc("n", 5) == 5


@pytest.mark.parametrize(
    "operation",
    [
        lambda memory: memory.get("a"),
        lambda memory: memory.get_many(["a"]),
        lambda memory: memory.has("a"),
        lambda memory: memory.set_many({"a": b"1"}, None),
        lambda memory: memory.add("a", b"1", None),
        lambda memory: memory.delete_many(["a"]),
        lambda memory: memory.inc("a", 1),
        lambda memory: memory.clear(),
    ],
)
def test_every_operation_counts(operation: Callable[[MemoryStore], object]) -> None:
    """Each call is one operation, so that an outage can say how many it served."""
    memory = MemoryStore(max_entries=10)
    operation(memory)
    assert memory.operations == 1


def test_threads_lose_no_increment() -> None:
    """Eight threads that add one each time add up."""
    memory = MemoryStore(max_entries=10)
    threads = [threading.Thread(target=lambda: [memory.inc("n", 1) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.get("n") == b"4000"
    assert memory.operations == 4001
