"""What is known where a line is logged: the request, the worker; and the number of a request."""

import random
import re
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+/-]{0,127}", re.ASCII)
_fields: ContextVar[Mapping[str, object]] = ContextVar("twelvefactor_log_fields", default=MappingProxyType({}))


bind, unbind = _fields.set, _fields.reset
"""Put fields, and no others, on every line logged from now on in this thread or coroutine; and take them back.

`unbind` wants the token that `bind` returned. A with block, which costs each request more, is `bound()`.
"""


class Bound:
    """Puts fields on every line that is logged in its `with` block, in this thread or coroutine.

    Blocks nest; an inner field hides an outer one of the same name. A value is turned to text only when a line is
    written, so that it may be something that is known later, such as the endpoint of a request.
    """

    __slots__ = ("_fields", "_token")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields
        self._token: Token[Mapping[str, object]] | None = None

    def __enter__(self) -> None:
        self._token = bind({**current_fields(), **self._fields})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            unbind(self._token)


def bound(**fields: object) -> Bound:
    """Return a `with` block that puts fields on its log lines, such as the name of a worker."""
    return Bound(fields)


def current_fields() -> Mapping[str, object]:
    """Return the fields that are bound here."""
    return _fields.get()


def request_id_from(header: str | None) -> str:
    """Return the number of a request: its X-Request-ID when that is well-formed, else a new one.

    Well-formed are 1 to 128 ASCII letters, digits and `._:@=+/-`, the first a letter or digit. A new one has 32
    hexadecimal digits.
    """
    if header is not None and _WELL_FORMED.fullmatch(header):
        return header
    return random.getrandbits(128).to_bytes(16).hex()  # a tenth of the cost of uuid4; it guards nothing
