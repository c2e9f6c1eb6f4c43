"""psycopg2's large object, each of whose conversations with the server ends by the deadline of its connection."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from psycopg2.extensions import lobject

T = TypeVar("T")


class Bounding(Protocol):
    """psycopg2's connection, with a deadline."""

    def bounded(self, operation: Callable[..., T], *arguments: object) -> T:
        """Run an operation that ends by the deadline."""


class WatchedLargeObject(lobject):  # type: ignore[misc] # psycopg2 has no annotations
    """A large object of the server: each call asks the server, and fails when it takes longer than the deadline."""

    def __init__(self, owner: Bounding, *arguments: Any) -> None:
        self._owner = owner
        owner.bounded(super().__init__, owner, *arguments)

    def read(self, *size: int) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Read up to `size` bytes or characters, or all that is left."""
        return self._owner.bounded(super().read, *size)

    def write(self, data: bytes | str) -> int:
        """Write, and return the bytes written."""
        return int(self._owner.bounded(super().write, data))

    def export(self, file: str) -> Any:  # noqa: ANN401 - psycopg2's signature
        """Write all to a file of this machine."""
        return self._owner.bounded(super().export, file)

    def seek(self, *place: int) -> int:
        """Go to a place, and return it."""
        return int(self._owner.bounded(super().seek, *place))

    def tell(self) -> int:
        """Return the place."""
        return int(self._owner.bounded(super().tell))

    def truncate(self, *size: int) -> None:
        """Cut off what is beyond `size`."""
        self._owner.bounded(super().truncate, *size)

    def close(self) -> None:
        """Close it; the server forgets it now."""
        self._owner.bounded(super().close)

    def unlink(self) -> None:
        """Close and remove it."""
        self._owner.bounded(super().unlink)
