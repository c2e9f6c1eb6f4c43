"""Takes secrets and control characters out of what is logged."""

import json
import re
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

from settings.problems import MASK, either, mask_urls, spellings

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Control characters but the tab, line separators, and marks that turn the direction of what is read (Trojan Source).
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_DEEPEST = 6


def _escaped(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode("ascii")


def harmless(text: str) -> str:
    r"""Return `text` in one line that no terminal obeys: colours removed, other control characters as `\n`, `\x1b`."""
    return _CONTROL.sub(_escaped, _COLOUR.sub("", text))


def text_of(value: object) -> str:
    """Return what `value` says of itself; one that fails at that is named by its type."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the line is written all the same, and says what is wrong
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"


class Masker:
    """Masks secrets, and the passwords of URLs, however they are spelt. Its repr shows none of them.

    Args:
        secrets: The values to be masked; empty ones are left out.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        every = {spelling for secret in secrets if secret for spelling in spellings(secret)}
        every |= {json.dumps(secret)[1:-1] for secret in secrets if secret}
        self._pattern = re.compile(either(every)) if every else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return mask_urls(text)

    def plain(self, value: object, deep: int = 0) -> Any:  # noqa: ANN401 - what JSON knows
        """Return `value` as JSON knows it, masked: containers to a depth of 6, anything else by its text."""
        if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
            return value
        if isinstance(value, Mapping) and deep < _DEEPEST:
            return {self(text_of(key)): self.plain(each, deep + 1) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and deep < _DEEPEST:
            return [self.plain(each, deep + 1) for each in value]
        return self(text_of(value))
