"""What the cache tests share: a clock, and caches that are attached to an application and closed afterwards."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Protocol

import pytest
from flask import Flask

from settings.cache.backend import ResilientCache, build_cache
from settings.cache.model import CacheSettings, RedisSettings
from tests.servers import wait_until

OF_REDIS = {"connect_timeout", "timeout", "max_connections"}


class Clock:
    """A monotonic clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def is_away(cache: ResilientCache) -> bool:
    """Say whether the cache does without Redis now."""
    return cache.figures()["mode"] == "fallback"


def wait_for_return(cache: ResilientCache) -> float:
    """Wait until Redis is in use again; return the seconds it took."""
    return wait_until(lambda: not is_away(cache), seconds=10, what="Redis's return")


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what the cache has logged for people."""
    return [each for each in caplog.records if each.name.startswith("settings.cache") and each.levelno > logging.DEBUG]


def two_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what the cache has logged, once that is two lines: a state is there a moment before its line."""
    wait_until(lambda: len(lines(caplog)) >= 2, what="a second line")
    return lines(caplog)


class MakeCache(Protocol):
    """Makes a cache as the boot does."""

    def __call__(self, url: str | None = None, *, app: Flask | None = None, **options: object) -> ResilientCache:
        """Return a cache of REDIS_URL and options of REDIS_ and CACHE_, attached to `app` or to one of its own."""


@pytest.fixture
def make_cache() -> Iterator[MakeCache]:
    """A maker of caches; all of them are closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make(url: str | None = None, *, app: Flask | None = None, **options: object) -> ResilientCache:
            redis = {name: value for name, value in options.items() if name in OF_REDIS}
            cache = {name: value for name, value in options.items() if name not in OF_REDIS}
            built = build_cache(RedisSettings.model_validate({"url": url} | redis), CacheSettings.model_validate(cache))
            built.init_app(app or Flask("test"))
            stack.callback(built.close)
            return built

        yield make
