"""The decorators of Flask-Caching with one option more: one call computes a missing value, the others wait for it."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flask_caching import VERSION_TIMEOUT, Cache
from flask_caching.utils import function_namespace

from settings.cache.stampede import Stampede
from settings.cache.store import Value

if TYPE_CHECKING:
    from flask_caching import _CachedFunction, _MemoizedFunction

P = ParamSpec("P")
R = TypeVar("R")


class StampedeProtectedCache(Cache):
    """A `flask_caching.Cache` whose decorators can let calls wait for one that computes the same value.

    Attributes:
        stampede_seconds: For how long a call of a function under `cached` or `memoize` waits while another call in
            this process computes the same missing value; 0, the default: not at all. A single function may have its
            own: `@cache.cached(timeout=60, stampede_seconds=5)`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config=config)
        self._stampede = Stampede()
        self.stampede_seconds = 0.0

    def get(self, key: str) -> Value:
        """Return the value of a key, or None."""
        value = self.cache.get(key)
        if value is None and (turn := self._stampede.current()) is not None and turn.wants(key):
            return self._stampede.wait(turn, key, lambda: self.cache.get(key))
        return value

    def cached(
        self, *args: object, stampede_seconds: float | None = None, **kwargs: object
    ) -> "Callable[[Callable[P, R]], _CachedFunction[P, R]]":
        """Cache what a view or function returns, as `flask_caching.Cache.cached`, with one option more.

        Args:
            args: As Flask-Caching has them.
            stampede_seconds: Instead of the attribute `stampede_seconds`, for this function.
            kwargs: As Flask-Caching has them.
        """
        if callable(own_key := kwargs.get("make_cache_key")):
            kwargs["make_cache_key"] = self._stampede.noting(own_key)
        decorate = cast("Any", super().cached)(*args, **kwargs)

        def decorator(function: Callable[P, R]) -> "_CachedFunction[P, R]":
            inner = decorate(function)
            inner.make_cache_key = self._stampede.noting(inner.make_cache_key)
            return cast("_CachedFunction[P, R]", self._protected(inner, stampede_seconds))

        return decorator

    def memoize(
        self, *args: object, stampede_seconds: float | None = None, **kwargs: object
    ) -> "Callable[[Callable[P, R]], _MemoizedFunction[P, R]]":
        """Cache what a function returns for its arguments, as `flask_caching.Cache.memoize`, with one option more.

        Args:
            args: As Flask-Caching has them.
            stampede_seconds: Instead of the attribute `stampede_seconds`, for this function.
            kwargs: As Flask-Caching has them.
        """
        decorate = cast("Any", super().memoize)(*args, **kwargs)

        def decorator(function: Callable[P, R]) -> "_MemoizedFunction[P, R]":
            return cast("_MemoizedFunction[P, R]", self._protected(decorate(function), stampede_seconds))

        return decorator

    def _memoize_make_cache_key(self, *args: object, **kwargs: object) -> Callable[..., str]:
        return self._stampede.noting(cast("Any", super()._memoize_make_cache_key)(*args, **kwargs))

    def _memoize_version(
        self,
        f: Callable[..., object],
        args: Any = None,  # noqa: ANN401 # as Flask-Caching has it
        kwargs: dict[str, Any] | None = None,
        reset: bool = False,
        delete: bool = False,
        refresh: bool = False,
        timeout: int | None = VERSION_TIMEOUT,
        args_to_ignore: list[str] | None = None,
    ) -> tuple[str, str] | tuple[str, None]:
        """Return a function's name and version, making the version only once however many calls find none.

        Flask-Caching lets each of them make one: then all compute, and most of what they compute is never found.
        """
        if reset or delete or refresh:
            return super()._memoize_version(f, args, kwargs, reset, delete, refresh, timeout, args_to_ignore)
        name, instance = function_namespace(f, args=args)
        keys = [self._memvname(name)]
        if instance and "self" not in (args_to_ignore or []):
            keys.append(self._memvname(instance))
        versions = self.get_many(*keys)
        for key in (key for key, version in zip(keys, versions, strict=True) if version is None):
            self.add(key, self._memoize_make_version_hash(), timeout=timeout)
        if None in versions:
            versions = self.get_many(*keys)
        # What `add` leaves alone and nobody can read would never be found: it has no time-out.
        new = {key: self._memoize_make_version_hash() for key, each in zip(keys, versions, strict=True) if each is None}
        if new:
            self.set_many(new, timeout=timeout)
        return name, "".join(new.get(key) or each for key, each in zip(keys, versions, strict=True))

    def _protected(self, inner: Callable[..., Any], seconds: float | None) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> object:
            wait_seconds = self.stampede_seconds if seconds is None else seconds
            if wait_seconds <= 0:
                return inner(*args, **kwargs)
            with self._stampede.turn(wait_seconds):
                return inner(*args, **kwargs)

        functools.update_wrapper(call, inner, updated=())
        # One and the same dict: `cache_timeout` and `make_cache_key` of the function are documented as writable.
        call.__dict__ = inner.__dict__
        return call
