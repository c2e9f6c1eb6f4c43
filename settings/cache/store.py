"""What a store of the cache can do: Redis and the memory of this process, with whole keys and values as bytes."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = Any
"""What an application caches: anything that its serializer can write down."""


class UnusableValue(ValueError):  # noqa: N818 # it is about one value, and says nothing about the service
    """The value under one key is not of the kind that an operation needs; the store itself is well.

    Attributes:
        key: The whole key, prefix included.
        reason: What is wrong with it; a clause.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key, self.reason = key, reason

    def __str__(self) -> str:
        return f"{self.key!r}: {self.reason}"


class Store(Protocol):
    """Keys carry their prefix, values are serialised; a time-out of None is for ever."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""

    def get_many(self, keys: Collection[str]) -> list[bytes | None]:
        """Return the values of the keys, None for each one that is missing, in their order."""

    def has(self, key: str) -> bool:
        """Say whether a key has a value."""

    def set_many(self, values: Mapping[str, bytes], seconds: int | None) -> None:
        """Keep all values for `seconds`."""

    def add(self, key: str, value: bytes, seconds: int | None) -> bool:
        """Keep a value unless the key has one; say whether it was kept."""

    def delete_many(self, keys: Collection[str]) -> int:
        """Delete the keys and return how many there were."""

    def unlink_many(self, keys: Collection[str]) -> int:
        """Delete the keys, their memory being freed later, and return how many there were."""

    def inc(self, key: str, delta: int) -> int:
        """Add `delta` to a number, 0 when it is missing, and return the sum.

        Raises:
            UnusableValue: The value is not an integer.
        """

    def clear(self) -> None:
        """Delete every key of the prefix, and no other."""
