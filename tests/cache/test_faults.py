"""Whose an exception is."""

import signal
from collections.abc import Callable, Iterator

import pytest
import redis

from settings.cache.client import glob_escape
from settings.cache.faults import is_fault_of_redis
from settings.cache.store import UnusableValue
from tests.proxy import TcpProxy


def _raised(work: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - what is told apart is what any of them is
        work()
    return caught.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (redis.TimeoutError("Timeout reading from socket"), True),
        (redis.ResponseError("OOM"), True),
        (ConnectionResetError(), True),
        (UnicodeError("label empty or too long"), True),
        (UnusableValue("app:a", "it is no number"), False),
        (redis.DataError("Invalid input of type: 'list'"), False),
        (RuntimeError("somebody else's"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_some_are_known_by_their_kind(error: BaseException, expected: bool) -> None:
    """Those of redis-py and of the network are Redis's; what says something about one value is not."""
    assert is_fault_of_redis(error) is expected


def test_others_are_known_by_where_they_were_raised() -> None:
    """What redis-py or we make of an answer is Redis's fault, whatever it is."""
    assert is_fault_of_redis(_raised(lambda: redis.Redis.from_url("gopher://host")))
    assert is_fault_of_redis(_raised(lambda: glob_escape(5)))  # type: ignore[arg-type] # as intended


class _OutOfTimeError(Exception):
    """As Celery's SoftTimeLimitExceeded."""


@pytest.fixture
def _alarm() -> Iterator[None]:
    def handle(*_: object) -> None:
        raise _OutOfTimeError

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_alarm")
def test_what_a_signal_handler_raises_is_none(proxy: TcpProxy) -> None:
    """It comes out of the line of redis-py that waits for an answer."""
    proxy.mode = "hang"
    client = redis.Redis(port=proxy.port, socket_timeout=5)
    error = _raised(lambda: client.get("key"))
    assert isinstance(error, _OutOfTimeError)
    assert not is_fault_of_redis(error)
