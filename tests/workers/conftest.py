"""What the tests of the workers share: an application, a context manager, jobs that note when they ran, claims."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from settings.database.claims import Claims
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.model import DatabaseSettings
from settings.database.tables import metadata
from settings.workers.context import ApplicationContextManager
from settings.workers.model import WorkersSettings
from settings.workers.scheduler import Workers
from tests.servers import wait_until

MakeWorkers = Callable[..., Workers]
Open = Callable[[], DatabaseManager]


class FakeClaim:
    """A claim that is always held; notes how the run ended."""

    def __init__(self, job: str, claims: "FakeClaims") -> None:
        self.lease_seconds, self._job, self._claims = 60.0, job, claims

    def heartbeat(self) -> bool:
        """Be held."""
        return True

    def finish(self, outcome: str, duration_seconds: float, error: str = "") -> None:
        """Note how the run ended."""
        assert duration_seconds >= 0
        assert (outcome == "ok") == (error == "")
        self._claims.before_finish()
        self._claims.finished.append((self._job, outcome))


class FakeClaims:
    """Claims of a fleet of one: each claim is granted, unless `error` says otherwise."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.before_finish: Callable[[], object] = lambda: None
        self.pauses: dict[str, float] = {}

    def claim(self, job: str, *, every: float) -> FakeClaim:
        """Grant it."""
        assert every > 0
        if self.error is not None:
            raise self.error
        return FakeClaim(job, self)

    def claim_fire(self, job: str, *, fire: float, then: float, latest: float, every: float) -> FakeClaim:
        """Grant it."""
        assert fire < then < latest
        return self.claim(job, every=every)

    def take_over(self, job: str, *, every: float) -> FakeClaim | None:
        """Know of no dead owner."""
        raise AssertionError(f"{job} has no open run to be taken over, every {every} s")

    def lease_left(self, job: str) -> float | None:
        """Know of no open run."""
        assert job
        if self.error is not None:
            raise self.error
        return None

    def next_in(self, job: str) -> float:
        """Say when to come back."""
        return self.pauses.get(job, 0.02)


@pytest.fixture
def app() -> Flask:
    """An application."""
    return Flask("tests")


@pytest.fixture
def context(app: Flask) -> ApplicationContextManager:
    """The application's context manager."""
    return ApplicationContextManager(app)


@pytest.fixture
def claims() -> FakeClaims:
    """Claims that are granted."""
    return FakeClaims()


@pytest.fixture
def make_workers(context: ApplicationContextManager, claims: FakeClaims) -> Iterator[MakeWorkers]:
    """A maker of Workers; all are closed at the end, and no thread of theirs is left."""
    made: list[Workers] = []

    def make(**options: Any) -> Workers:
        settings = WorkersSettings(**options.pop("settings", {"grace": 2}))
        made.append(Workers(settings, **{"context": context, "claims": claims, "owner": lambda: "me", **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()
    wait_until(lambda: threads_named("worker-") == [], what="the end of their threads")


@pytest.fixture(params=["sqlite", "postgresql"])
def open_database(request: pytest.FixtureRequest) -> Iterator[Open]:
    """A maker of managers of one database, on each dialect, as so many processes would have them."""
    url = (
        request.getfixturevalue("postgres_url")
        if request.param == "postgresql"
        else f"sqlite:///{request.getfixturevalue('tmp_path')}/app.db"
    )
    opened: list[DatabaseManager] = []

    def make() -> DatabaseManager:
        settings = DatabaseSettings(url=url, wait=0, fallback_url=None)
        opened.append(DatabaseManager(SmartConnectionManager(settings, app_name="tests", strict=True)))
        return opened[-1]

    metadata.create_all(make().engine)
    yield make
    for each in opened:
        each.close()


def claims_of(database: DatabaseManager, owner: str) -> Claims:
    """Return the claims that one process would have."""
    return Claims(lambda: database.engine, app_name="tests", owner=lambda: owner)


def threads_named(*beginnings: str) -> list[str]:
    """Return the names of the living threads that begin with one of these."""
    return [each.name for each in threading.enumerate() if each.name.startswith(beginnings)]


def no_more_threads(monkeypatch: pytest.MonkeyPatch, *beginnings: str) -> None:
    """Let the threads whose names begin so fail to start, as they do at the limit of a process."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(beginnings):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
