"""How each service is: kept results, bounded questions, transitions told once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from settings.probe import HealthStatus, Reading
from settings.workers.health import ServiceHealthManager, Transition
from tests.servers import wait_until
from tests.workers.conftest import threads_named

OK = Reading(HealthStatus.HEALTHY, "PostgreSQL 18", facts={"pool_in_use": 1})
BAD = Reading(HealthStatus.UNHEALTHY, "db:5432", "connection-refused", "nobody listens", "start it")


@pytest.fixture(autouse=True)
def no_other_probes() -> Iterator[None]:
    """Let no probe of one test, which logs and is counted, go on in the next one."""
    wait_until(lambda: threads_named("health-") == [], what="the end of other tests' probes")
    yield
    wait_until(lambda: threads_named("health-") == [], what="the end of the test's probes")


class _Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _counting(answers: list[Reading]) -> tuple[Callable[[], Reading], list[int]]:
    asked: list[int] = []

    def probe() -> Reading:
        asked.append(1)
        return answers[min(len(asked), len(answers)) - 1]

    return probe, asked


def test_first_check_waits_for_the_answers() -> None:
    """The first check gives what the services say, with their facts and latencies."""
    health = ServiceHealthManager()
    health.register("database", lambda: OK, critical=True)
    row = health.check()["database"]
    assert (row.status, row.detail, row.facts, row.critical) == (OK.status, OK.detail, OK.facts, True)
    assert row.checked_at is not None
    assert row.latency_ms is not None
    assert row.latencies == (row.latency_ms,)


def test_nothing_is_asked_before_a_check() -> None:
    """Registering asks nothing; `latest` shows a service that was not asked yet."""
    health = ServiceHealthManager()
    probe, asked = _counting([OK])
    health.register("database", probe)
    assert health.latest()["database"].status is HealthStatus.UNKNOWN
    assert asked == []


def test_result_is_kept_for_a_second() -> None:
    """Many checks within a second ask once; a later one asks again and tells what it was answered."""
    clock = _Clock()
    health = ServiceHealthManager(clock=clock)
    probe, asked = _counting([OK, BAD])
    health.register("database", probe)
    for _ in range(10):
        assert health.check()["database"].status is HealthStatus.HEALTHY
    assert len(asked) == 1
    clock.now += 1.5
    assert health.check()["database"].status is HealthStatus.UNHEALTHY
    assert len(asked) == 2


def test_request_waits_half_a_second_for_a_frozen_service_and_then_no_more() -> None:
    """A check that finds a service frozen tells what is kept; those after it do not wait for one that is slow."""
    clock, frozen = _Clock(), threading.Event()
    health = ServiceHealthManager(clock=clock)
    answers = iter([lambda: OK])
    health.register("database", lambda: next(answers, lambda: (frozen.wait(30), BAD)[1])())
    health.check()
    clock.now += 2
    assert _timed(health)[0] is HealthStatus.HEALTHY
    clock.now += 2
    status, seconds = _timed(health)
    assert status is HealthStatus.UNHEALTHY
    assert seconds < 0.45
    frozen.set()


def test_frozen_service_keeps_no_request_for_longer_than_its_patience() -> None:
    """The wait is half a second, however long the time-out of the service is."""
    clock, frozen = _Clock(), threading.Event()
    health = ServiceHealthManager(clock=clock)
    answers = iter([lambda: OK])
    health.register("database", lambda: next(answers, lambda: (frozen.wait(30), BAD)[1])(), timeout=20)
    health.check()
    clock.now += 2
    status, seconds = _timed(health)
    frozen.set()
    assert status is HealthStatus.HEALTHY
    assert 0.45 < seconds < 5


def _timed(health: ServiceHealthManager) -> tuple[HealthStatus, float]:
    begin = time.perf_counter()
    return health.check()["database"].status, time.perf_counter() - begin


def test_frozen_service_has_one_question_outstanding() -> None:
    """However often it is checked, one thread waits; it is unhealthy, and its late answer counts again."""
    clock, frozen, asked = _Clock(), threading.Event(), []

    def probe() -> Reading:
        asked.append(1)
        frozen.wait(30)
        return OK

    health = ServiceHealthManager(clock=clock)
    health.register("database", probe, timeout=0.05)
    row = health.check()["database"]
    assert (row.status, row.code, row.latency_ms) == (HealthStatus.UNHEALTHY, "probe-silent", None)
    for _ in range(20):
        clock.now += 2
        health.check()
    assert (len(asked), len(threads_named("health-probe"))) == (1, 1)
    assert "40.0 s" in health.latest()["database"].cause
    frozen.set()
    wait_until(lambda: health.latest()["database"].status is HealthStatus.HEALTHY)


def test_one_slow_service_does_not_keep_the_others() -> None:
    """Services are asked side by side: the whole check takes as long as the slowest time-out, not their sum."""
    health, frozen = ServiceHealthManager(), threading.Event()
    for number in range(5):
        health.register(f"frozen-{number}", lambda: (frozen.wait(30), OK)[1], timeout=0.2)
    health.register("fine", lambda: OK)
    begin = time.perf_counter()
    rows = health.check()
    assert time.perf_counter() - begin < 0.95
    assert rows["fine"].status is HealthStatus.HEALTHY
    frozen.set()


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (True, HealthStatus.HEALTHY, ""),
        (False, HealthStatus.UNHEALTHY, "probe-said-no"),
        (HealthStatus.FALLBACK, HealthStatus.FALLBACK, ""),
        (None, HealthStatus.UNHEALTHY, "probe-answer-unusable"),
        ("fine", HealthStatus.UNHEALTHY, "probe-answer-unusable"),
    ],
)
def test_probes_of_the_application_may_be_short(answer: object, status: HealthStatus, code: str) -> None:
    """A bool or a HealthStatus will do; anything else is unhealthy and says what to return."""
    health = ServiceHealthManager()
    health.register("mail", lambda: answer)
    row = health.check()["mail"]
    assert (row.status, row.code) == (status, code)


@pytest.mark.parametrize("error", [ValueError("redis://:secret@r"), SystemExit(3), KeyboardInterrupt()])
def test_probe_that_raises_is_unhealthy(error: BaseException) -> None:
    """A check never raises, and a secret in the error does not show."""
    health = ServiceHealthManager()

    def probe() -> Reading:
        raise error

    health.register("cache", probe)
    row = health.check()["cache"]
    assert (row.status, row.code) == (HealthStatus.UNHEALTHY, "probe-failed")
    assert type(error).__name__ in row.cause
    assert "secret" not in repr(row)


def test_transitions_are_logged_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Well, away, away, back: two lines and three changes, each with the cause."""
    caplog.set_level(logging.INFO)
    changes: list[Transition] = []
    health = ServiceHealthManager(on_change=changes.append)
    probe, _ = _counting([OK, BAD, BAD, OK])
    health.register("orders", probe)
    for _ in range(4):
        health.refresh()
    wait_until(lambda: threads_named("health-") == [])
    assert [(each.before.status.value, each.after.status.value) for each in changes] == [
        ("unknown", "healthy"),
        ("healthy", "unhealthy"),
        ("unhealthy", "healthy"),
    ]
    assert [each.getMessage() for each in caplog.records if "orders" in each.getMessage()] == [
        "Health: orders is unhealthy: nobody listens [connection-refused]. Fix: start it",
        "Health: orders is healthy again",
    ]


def test_since_is_when_the_status_began() -> None:
    """A status that stays keeps its beginning, another one gets its own."""
    health = ServiceHealthManager()
    probe, _ = _counting([OK, OK, BAD])
    health.register("database", probe)
    first, second, third = (health.refresh()["database"] for _ in range(3))
    assert first.since == second.since < third.since
    assert second.checked_at is not None
    assert second.checked_at > second.since


def test_failing_listener_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A listener that raises is logged, and the check goes on; one that checks itself does not hang."""
    health = ServiceHealthManager(on_change=lambda _change: (health.latest(), 1 / 0))
    health.register("database", lambda: OK)
    assert health.check()["database"].status is HealthStatus.HEALTHY
    wait_until(lambda: [each for each in caplog.records if "listener" in each.getMessage()] != [])


def test_closed_health_asks_nothing() -> None:
    """After `close`, checks give what is kept."""
    health = ServiceHealthManager()
    probe, asked = _counting([OK])
    health.register("database", probe)
    health.check()
    health.close()
    assert health.refresh()["database"].status is HealthStatus.HEALTHY
    assert health.check()["database"].status is HealthStatus.HEALTHY
    assert len(asked) == 1


def test_many_threads_check_at_once() -> None:
    """Thirty first checks at once ask each service once and all see its answer."""
    health = ServiceHealthManager()
    probe, asked = _counting([OK])
    health.register("database", lambda: (threading.Event().wait(0.05), probe())[1])
    seen: list[HealthStatus] = []
    threads = [threading.Thread(target=lambda: seen.append(health.check()["database"].status)) for _ in range(30)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert seen == [HealthStatus.HEALTHY] * 30
    assert len(asked) == 1


def test_health_after_a_fork() -> None:
    """A child asks for itself, although a question was outstanding in its parent."""
    import os

    frozen = threading.Event()
    parent = os.getpid()
    health = ServiceHealthManager()
    health.register("database", lambda: (os.getpid() == parent and frozen.wait(30), OK)[1], timeout=0.05)
    health.check()
    child = os.fork()
    if child == 0:
        os._exit(0 if health.refresh()["database"].status is HealthStatus.HEALTHY else 1)
    assert os.waitpid(child, 0)[1] == 0
    frozen.set()


def test_a_quiet_service_changes_without_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """Its own room tells of it; listeners are told as ever."""
    caplog.set_level(logging.DEBUG)
    changes: list[Transition] = []
    health = ServiceHealthManager(on_change=changes.append)
    probe, _ = _counting([OK, BAD])
    health.register("cache", probe, quiet=True)
    health.refresh()
    health.refresh()
    wait_until(lambda: threads_named("health-") == [])
    assert len(changes) == 2
    assert "Health:" not in caplog.text
