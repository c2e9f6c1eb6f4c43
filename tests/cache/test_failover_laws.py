"""Laws of the way out and back, for any order of faults and operations of two processes that share one Redis."""

import logging
import threading
from collections.abc import Callable

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from settings.cache.client import RedisStore
from settings.cache.failover import SMALL_PURGE, Failover
from settings.cache.memory import MemoryStore
from settings.cache.recovery import Purge
from settings.cache.store import Store
from settings.problems import Diagnosis
from tests.cache.conftest import Clock

KEYS = st.sampled_from(["app:a", "app:b"])
WHO = st.integers(0, 1)
GONE = Diagnosis("redis-refused", "it is gone", "bring it back", transient=True)
RETRY_AFTER = 15.0


class SharedRedis:
    """What both processes see: its entries, and how it answers."""

    def __init__(self) -> None:
        self.entries = MemoryStore(max_entries=1000)
        self.state = "up"

    def command(self, run: Callable[[MemoryStore], object]) -> object:
        """Run a command as the state of the server has it."""
        if self.state == "refuses":
            raise redis.ConnectionError("Connection refused")
        answer = run(self.entries)
        if self.state == "loses answers":
            raise redis.TimeoutError("Timeout reading from socket")
        return answer


class FakeRedisStore(RedisStore):
    """A store of one process on the shared Redis."""

    def __init__(self, shared: SharedRedis) -> None:
        self.shared = shared
        self.before_probe: Callable[[], None] = lambda: None

    def __getattribute__(self, name: str) -> object:
        """Send every operation of a store through the state of the server."""
        if name in ("get", "set_many", "delete_many", "clear"):
            shared = object.__getattribute__(self, "shared")
            return lambda *arguments: shared.command(lambda entries: getattr(entries, name)(*arguments))
        return object.__getattribute__(self, name)

    def probe(self, operation: str = "") -> float:
        """Write and read."""
        del operation
        self.before_probe()
        self.shared.command(lambda entries: entries.has("probe"))
        return 0.001

    def purge(self, purge: Purge) -> None:
        """Delete what has to go."""
        if purge.everything:
            self.clear()
        if purge.keys:
            self.delete_many(purge.keys)

    def renew(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TwoProcesses(RuleBasedStateMachine):
    """Values are numbers that only grow, so that an old one is known when it comes back."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty Redis that is up, and two processes."""
        self.clock, self.shared, self.number = Clock(), SharedRedis(), 0
        self.processes = [
            Failover(
                FakeRedisStore(self.shared), MemoryStore(max_entries=100), target="redis://fake",
                diagnose=lambda _: GONE, retry_after=RETRY_AFTER, clock=self.clock,
            )
            for _ in range(2)
        ]  # fmt: skip
        self.own: list[dict[str, int]] = [{}, {}]

    def teardown(self) -> None:
        """Let Redis come back: afterwards nothing that anybody replaced or deleted is left."""
        self.shared.state = "up"
        self.clock.now += RETRY_AFTER
        assert all(process.try_return() for process in self.processes)
        for key in ("app:a", "app:b"):
            newest = max(each.get(key, 0) for each in self.own)
            for process in self.processes:
                assert self.number_of(process, key) >= newest
        for process in self.processes:
            process.close()

    @staticmethod
    def number_of(process: Failover, key: str) -> float:
        """Return the number that a process reads; a missing one is newer than any."""
        value = process.read("get", lambda store: store.get(key))
        return float("inf") if value is None else int(value)

    @rule(state=st.sampled_from(["up", "refuses", "loses answers"]))
    def change(self, state: str) -> None:
        """Redis goes, comes, or executes commands without answering."""
        self.shared.state = state

    @rule(who=WHO, key=KEYS)
    def write(self, who: int, key: str) -> None:
        """A process writes the next number."""
        self.number += 1
        value = str(self.number).encode()
        self.processes[who].write("set", (key,), lambda store: store.set_many({key: value}, None))
        self.own[who][key] = self.number

    @rule(who=WHO, key=KEYS)
    def delete(self, who: int, key: str) -> None:
        """A process deletes what is there."""
        self.number += 1
        self.processes[who].write("delete", (key,), lambda store: store.delete_many((key,)))
        self.own[who][key] = self.number

    @rule(who=WHO)
    def clear(self, who: int) -> None:
        """A process deletes everything."""
        self.number += 1
        self.processes[who].write("clear", None, lambda store: store.clear())
        self.own[who] = dict.fromkeys(("app:a", "app:b"), self.number)

    @rule(who=WHO, key=KEYS)
    def read(self, who: int, key: str) -> None:
        """A process never reads what it replaced or deleted itself."""
        assert self.number_of(self.processes[who], key) >= self.own[who].get(key, 0)

    @rule(who=WHO)
    def pass_time(self, who: int) -> None:
        """The next probe is due; it brings Redis back if Redis is up."""
        self.clock.now += RETRY_AFTER
        assert self.processes[who].try_return() or self.shared.state != "up"

    @invariant()
    def a_process_in_use_of_redis_owes_nothing(self) -> None:
        """Whoever reads Redis has nothing left to purge, and an empty memory."""
        for process in getattr(self, "processes", []):
            keys, everything = process.remembered()
            assert process.away or (keys, everything, len(process._memory)) == (0, False, 0)


class ClosingStore(FakeRedisStore):
    """A store whose process is closed by another thread in the middle of its first purge."""

    failover: Failover
    purges = 0

    def purge(self, purge: Purge) -> None:
        """Delete what has to go; meanwhile the application writes once more and closes."""
        self.purges += 1
        if self.purges == 1:
            self.failover.write("set", ("app:meanwhile",), lambda store: store.set_many({"app:meanwhile": b"1"}, None))
            self.failover.close()
        super().purge(purge)


class ClearedStore(FakeRedisStore):
    """A store whose application clears the cache in the middle of each of its first two purges."""

    failover: Failover
    purges = 0

    def purge(self, purge: Purge) -> None:
        """Delete what has to go, while another thread clears."""
        self.purges += 1
        if self.purges <= 2:
            clear = threading.Thread(target=lambda: self.failover.write("clear", None, lambda store: store.clear()))
            clear.start()
            clear.join(10)
            assert not clear.is_alive()
        super().purge(purge)


def test_writers_do_not_wait_while_a_whole_prefix_is_purged() -> None:
    """A clear() in the middle of a return is purged before the moment in which writers wait."""
    clock, shared = Clock(), SharedRedis()
    store = ClearedStore(shared)
    failover = store.failover = Failover(
        store, MemoryStore(max_entries=10), target="redis://fake", diagnose=lambda _: GONE, retry_after=RETRY_AFTER,
        clock=clock,
    )  # fmt: skip
    shared.state = "refuses"
    failover.write("clear", None, lambda store: store.clear())
    shared.state = "up"
    clock.now += RETRY_AFTER
    assert failover.try_return()
    assert failover.remembered() == (0, False)
    assert failover.tally.purged_prefixes == 3


def test_a_process_that_closes_while_it_returns_returns_once(caplog: pytest.LogCaptureFixture) -> None:
    """Prober and close() may purge at once: one line says that Redis is back, and nothing is left to purge."""
    caplog.set_level(logging.INFO)
    clock, shared = Clock(), SharedRedis()
    store = ClosingStore(shared)
    failover = store.failover = Failover(
        store, MemoryStore(max_entries=1000), target="redis://fake", diagnose=lambda _: GONE, retry_after=RETRY_AFTER,
        clock=clock,
    )  # fmt: skip
    shared.state = "refuses"
    for n in range(SMALL_PURGE + 1):
        failover.write("delete", (f"app:{n}",), lambda store: store.delete_many(("app:any",)))
    shared.state = "up"
    clock.now += RETRY_AFTER
    assert failover.try_return()
    assert failover.remembered() == (0, False)
    assert [each.getMessage().count("in use again") for each in caplog.records] == [0, 1]


def _failover(store: RedisStore, clock: Clock, diagnose: Callable[[BaseException], Diagnosis]) -> Failover:
    memory = MemoryStore(max_entries=1000)
    return Failover(store, memory, target="redis://fake", diagnose=diagnose, retry_after=RETRY_AFTER, clock=clock)


class _OutOfTimeError(Exception):
    """What a signal handler of the application's raises, as Celery's SoftTimeLimitExceeded."""


def _interrupt(_store: Store) -> bytes | None:
    raise _OutOfTimeError


def test_what_is_no_fault_of_redis_passes_through() -> None:
    """It reaches whoever set the limit, and Redis stays in use."""
    failover = _failover(FakeRedisStore(SharedRedis()), Clock(), lambda _: GONE)
    for run in (failover.read, lambda name, operation: failover.write(name, ("app:a",), operation)):
        with pytest.raises(_OutOfTimeError):
            run("get", _interrupt)
    assert not failover.away


@pytest.mark.parametrize("raised", [_OutOfTimeError(), KeyboardInterrupt(), redis.ConnectionError()])
def test_whatever_ends_a_probe_the_next_one_comes(raised: BaseException) -> None:
    """Also one that was interrupted, and one whose diagnosis failed."""
    clock, shared = Clock(), SharedRedis()
    store = FakeRedisStore(shared)
    faults: list[BaseException] = []

    def diagnose(error: BaseException) -> Diagnosis:
        if error in faults:
            raise LookupError
        return GONE

    failover = _failover(store, clock, diagnose)
    shared.state = "refuses"
    failover.read("get", lambda store: store.get("app:a"))
    faults.append(raised)
    shared.state = "up"

    def fail() -> None:
        raise raised

    store.before_probe = fail
    clock.now += RETRY_AFTER
    with pytest.raises((type(raised), LookupError)):
        failover.try_return()
    store.before_probe = lambda: None
    clock.now += RETRY_AFTER
    assert failover.try_return()


TwoProcesses.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestTwoProcesses = TwoProcesses.TestCase
