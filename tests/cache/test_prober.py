"""The thread of an outage: it probes when that is due, and lives no longer than the outage."""

import threading

from settings.cache.prober import Prober
from tests.servers import wait_until


class Outage:
    """An outage that ends with the third probe."""

    def __init__(self) -> None:
        self.probes = 0
        self.threads: set[str] = set()
        self.due = 0.0

    def due_in(self) -> float:
        """Return the seconds until the next probe."""
        return self.due

    def probe(self) -> bool:
        """Count; the third one succeeds."""
        self.probes += 1
        self.threads.add(threading.current_thread().name)
        return self.probes == 3


def test_probes_until_redis_is_back_and_ends() -> None:
    """One daemon thread probes until a probe succeeds, and is gone then."""
    outage = Outage()
    prober = Prober(due_in=outage.due_in, probe=outage.probe)
    assert prober.start()
    wait_until(lambda: not prober.running, seconds=5)
    assert outage.probes == 3
    assert outage.threads == {"cache-probe"}


def test_stop_ends_a_waiting_thread() -> None:
    """A thread that waits for a far-off probe ends at once when it is told to."""
    outage = Outage()
    outage.due = 1000.0
    prober = Prober(due_in=outage.due_in, probe=outage.probe)
    prober.start()
    assert prober.running
    prober.stop()
    wait_until(lambda: not prober.running, seconds=5)
    assert outage.probes == 0


def test_a_child_has_no_thread() -> None:
    """After a fork the parent's thread is forgotten, and a new one can be started."""
    outage = Outage()
    outage.due = 1000.0
    prober = Prober(due_in=outage.due_in, probe=outage.probe)
    prober.start()
    prober.stop()
    prober.after_fork_in_child()
    assert not prober.running
    outage.due = 0.0
    prober.start()
    wait_until(lambda: outage.probes == 3, seconds=5)
