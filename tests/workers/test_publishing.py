"""Calls of tasks are sent in bounded time, whatever the broker does; a caller is told what became of them."""

import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from settings.probe import HealthStatus
from settings.workers.celery import build_celery
from settings.workers.model import WorkersSettings
from settings.workers.publishing import CONNECTIONS, BrokerPublisher
from settings.workers.tasks import Task, TaskReceipt
from tests.cache.broken_redis import CERTIFICATE
from tests.servers import RedisServer, wait_until
from tests.workers.conftest import MakeWorkers
from tests.workers.rabbit import Fault, rabbit


class _Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """The clock of the breaker."""
    return _Clock()


Publish = Callable[..., tuple[Task, BrokerPublisher]]


@pytest.fixture
def publish(make_workers: MakeWorkers, clock: _Clock) -> Iterator[Publish]:
    """A maker of a task that is published to a Redis."""
    made: list[BrokerPublisher] = []

    def make(server: RedisServer, url: str = "") -> tuple[Task, BrokerPublisher]:
        settings = WorkersSettings(engine="celery", broker_url=url or server.url())
        workers = make_workers()
        _, publisher = build_celery(workers, settings, app_name="tests", timeout=0.2, connect_timeout=0.2, clock=clock)
        made.append(publisher)
        return workers.task(lambda number: number, name="double"), publisher

    yield make
    for each in made:
        each.close()


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def test_call_is_queued(redis_server: RedisServer, publish: Publish) -> None:
    """A call is in the application's queue, and its receipt is true."""
    task, publisher = publish(redis_server)
    receipt = task.delay(3)
    assert receipt
    assert (receipt.fate, publisher.published) == ("queued", 1)
    assert redis_server.client().llen("tests") == 1
    assert publisher.reading().status is HealthStatus.HEALTHY


def test_task_can_be_called_here(redis_server: RedisServer, publish: Publish) -> None:
    """Called without `delay` it runs at once, and asks no broker."""
    task, publisher = publish(redis_server)
    assert task(4) == 4
    assert publisher.published == 0


@pytest.mark.parametrize("fault", ["dead", "frozen"])
def test_broker_that_is_away_costs_one_timeout(
    own_redis: RedisServer, publish: Publish, clock: _Clock, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """A hundred calls cost one time-out in all, each says why it was not taken, one line is logged; then all goes on.

    The first one that a frozen broker was sent is told apart: it may have it.
    """
    caplog.set_level(logging.INFO)
    task, publisher = publish(own_redis)
    assert task.delay(1)
    own_redis.kill() if fault == "dead" else own_redis.freeze()
    receipts: list[TaskReceipt] = []
    # a connection, and one answer; a time-out for each would be 20 s
    assert _seconds(lambda: receipts.extend(task.delay(n) for n in range(100))) < 5
    unsure = 1 if fault == "frozen" else 0
    assert [(each.fate, each.code) for each in receipts[:unsure]] == [("unknown", "broker-answer-lost")] * unsure
    assert {(each.fate, each.code) for each in receipts[unsure:]} == {("refused", "broker-unavailable")}
    assert all(each.fix and not each for each in receipts)
    assert (publisher.refused, publisher.unknown) == (100 - unsure, unsure)
    assert publisher.reading().code == "broker-unavailable"
    own_redis.start() if fault == "dead" else own_redis.thaw()
    assert task.delay(2).fate == "refused"
    clock.now += 16
    assert task.delay(2).fate == "queued"
    assert [each.getMessage().partition(":")[0] for each in caplog.records] == [
        "Tasks are refused",
        *[f"Task double ({each.id})" for each in receipts[:unsure]],
        "Tasks are taken again",
    ]


def test_call_whose_answer_was_lost_may_have_been_taken(own_redis: RedisServer, publish: Publish) -> None:
    """What a frozen Redis was sent is in the queue once it goes on, and what was refused is not."""
    task, publisher = publish(own_redis)
    assert task.delay(1)
    with own_redis.frozen():
        assert [task.delay(n).fate for n in (2, 3)] == ["unknown", "refused"]
    wait_until(lambda: own_redis.client().llen("tests") == 2)
    facts = publisher.reading().facts
    assert (facts["published"], facts["unknown"], facts["refused"]) == (1, 1, 1)


def test_no_of_a_broker_is_no_lost_answer(own_redis: RedisServer, publish: Publish) -> None:
    """A full Redis takes nothing: that call is known to be refused."""
    task, _ = publish(own_redis)
    assert task.delay(1)
    own_redis.client().config_set("maxmemory", 1)
    receipt = task.delay(2)
    assert (receipt.fate, receipt.code) == ("refused", "broker-unavailable")
    assert "maxmemory" in receipt.detail


def test_frozen_broker_behind_a_socket_costs_one_timeout(own_redis: RedisServer, publish: Publish) -> None:
    """A Redis that is reached by its socket file is waited for no longer than one behind a port."""
    path = own_redis.folder / "socket"
    own_redis.restart("--unixsocket", str(path))
    task, publisher = publish(own_redis, f"redis+socket://{path}")
    assert task.delay(1)
    own_redis.freeze()
    assert _seconds(lambda: [task.delay(n) for n in range(100)]) < 5
    assert _seconds(publisher.reading) < 2
    assert (publisher.refused, publisher.unknown) == (99, 1)
    own_redis.thaw()


def test_silent_broker_of_amqp_costs_one_timeout(publish: Publish, own_redis: RedisServer) -> None:
    """A port that takes connections and says nothing is waited for once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task, publisher = publish(own_redis, f"amqp://127.0.0.1:{listener.getsockname()[1]}")
        assert _seconds(lambda: [task.delay(n) for n in range(100)]) < 5
        assert (publisher.refused, publisher.reading().code) == (100, "broker-unavailable")


@pytest.mark.parametrize(
    ("fault", "fate", "code"),
    [("", "queued", ""), ("no confirm", "unknown", "broker-answer-lost"), ("nack", "refused", "broker-unavailable")],
)
def test_a_broker_of_amqp_confirms_what_it_took(
    publish: Publish, own_redis: RedisServer, clock: _Clock, fault: Fault, fate: str, code: str
) -> None:
    """What was only written to a connection is not said to be queued; the next call has a connection of its own."""
    with rabbit(fault) as server:
        task, _ = publish(own_redis, f"amqp://127.0.0.1:{server.port}")
        receipt = task.delay(1)
        assert (receipt.fate, receipt.code, server.published) == (fate, code, 1)
        server.fault = ""
        clock.now += 16
        assert task.delay(2).fate == "queued"
        assert server.published == 2


@pytest.mark.parametrize(
    ("host", "query", "fate"),
    [
        ("127.0.0.1", f"?ssl_ca_certs={CERTIFICATE}", "queued"),
        ("127.0.0.1", "?ssl_cert_reqs=none", "queued"),
        ("127.0.0.1", "", "refused"),
        ("localhost", f"?ssl_ca_certs={CERTIFICATE}", "refused"),
        ("localhost", f"?ssl_ca_certs={CERTIFICATE}&ssl_check_hostname=false", "queued"),
    ],
)
def test_certificate_of_an_amqp_broker_is_verified(
    publish: Publish, redis_server: RedisServer, host: str, query: str, fate: str
) -> None:
    """Who vouches for it and whose name it has count, unless the query says otherwise, as with Redis."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE.with_name("server-with-key.pem"))
    with rabbit(tls=context) as server:
        task, publisher = publish(redis_server, f"amqps://{host}:{server.port}/shop{query}")
        receipt = task.delay(1)
        assert (receipt.fate, "CERTIFICATE_VERIFY_FAILED" in receipt.detail) == (fate, fate == "refused")
        publisher.close()


@pytest.mark.parametrize("url", ["redis://broker.example", "rediss://broker.example", "amqp://broker.example"])
def test_silent_name_server_costs_one_timeout(
    publish: Publish, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Where no name server answers, calls and the probe wait for one time-out; nobody has what they would send."""
    answers, asked = threading.Event(), []

    def silent(host: str, *arguments: int, **options: int) -> object:
        asked.append(host)
        answers.wait(20)
        raise socket.gaierror("too late")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    task, publisher = publish(redis_server, url)
    receipts: list[TaskReceipt] = []
    assert _seconds(lambda: receipts.extend(task.delay(n) for n in range(10))) < 5
    assert asked == ["broker.example"]
    assert _seconds(publisher.reading) < 5
    assert asked == ["broker.example"] * 2
    assert {each.fate for each in receipts} == {"refused"}
    answers.set()


def test_arguments_that_are_not_json_are_told_apart(redis_server: RedisServer, publish: Publish) -> None:
    """A wrong argument is refused with its own code, and closes no way to the broker."""
    task, _ = publish(redis_server)
    receipt = task.delay(object())
    assert (receipt.fate, receipt.code) == ("refused", "task-not-json")
    assert task.delay(1)


def test_threads_share_few_connections(own_redis: RedisServer, publish: Publish) -> None:
    """Eight threads publish a hundred calls each, on few connections, and none is lost."""
    task, publisher = publish(own_redis)
    refused: list[str] = []

    def send() -> None:
        refused.extend(receipt.detail for n in range(100) if not (receipt := task.delay(n)))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert refused == []
    assert own_redis.client().llen("tests") == 800 == publisher.published
    assert len([each for each in own_redis.client().client_list() if each["cmd"] == "lpush"]) <= 10


def test_busy_connections_are_no_outage(redis_server: RedisServer, publish: Publish) -> None:
    """When every connection is in use for too long, that call is refused, and the next one goes through."""
    task, publisher = publish(redis_server)
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(publisher._pool.acquire(block=True))
        assert task.delay(1).code == "broker-busy"
    assert task.delay(2)


def test_child_of_a_fork_publishes_on_connections_of_its_own(redis_server: RedisServer, publish: Publish) -> None:
    """Parent and child publish after a fork, and neither takes the other's answers."""
    task, _ = publish(redis_server)
    assert task.delay(1)
    child = os.fork()
    if child == 0:
        os._exit(0 if all(task.delay(n) for n in range(50)) else 1)
    assert all(task.delay(n) for n in range(50))
    assert os.waitpid(child, 0)[1] == 0
    assert redis_server.client().llen("tests") == 101


def test_closed_connections_are_gone(own_redis: RedisServer, publish: Publish) -> None:
    """After `close` the broker has no connection of this publisher."""
    task, publisher = publish(own_redis)
    task.delay(1)
    publisher.close()
    wait_until(lambda: [each for each in own_redis.client().client_list() if each["cmd"] == "lpush"] == [])
