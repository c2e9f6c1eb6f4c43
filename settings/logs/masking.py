"""Takes secrets and control characters out of what is logged."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from typing import Any
from urllib.parse import quote

from settings.problems import MASK, SHORT_SECRET, either, mask_urls, spellings

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Control characters but the tab, line separators, and marks that turn the direction of what is read (Trojan Source).
_CONTROL = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
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


def _written(secret: str) -> Iterator[str]:
    """Yield the ways in which a secret may stand in a text: also as bytes, as JSON, and quoted twice.

    Of one of several lines each long line counts alone: a traceback indents them.
    """
    lines = [line.strip() for line in secret.splitlines()]
    for each in {secret, *(line for line in lines if len(lines) > 1 and len(line) >= SHORT_SECRET)}:
        raw = each.encode("utf-8", "surrogatepass")
        yield from spellings(each)
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), quote(raw, safe=""))
        yield from (json.dumps(each)[1:-1], ascii(each)[1:-1], repr(raw)[2:-1])
        twice = repr(repr(f"<{each}>"))
        yield twice[twice.index("<") + 1 : twice.rindex(">")]


class Masker:
    """Masks secrets, and the passwords of URLs, however they are spelt. Its repr shows none of them.

    Args:
        secrets: The values to be masked; empty ones are left out.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._every: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Collection[str]) -> None:
        """Mask these, too, from now on."""
        every = self._every.union(spelling for secret in secrets if secret for spelling in _written(secret))
        if every == self._every:
            return
        # The set of first letters passes most of a text over at a tenth of what trying all of them would cost.
        firsts = "".join(sorted({re.escape(each[0]) for each in every}))
        self._pattern, self._every = re.compile(f"(?=[{firsts}])(?:{either(every)})"), every

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return mask_urls(text)

    def plain(self, value: object, deep: int = 0) -> Any:  # noqa: ANN401 - what JSON knows
        """Return `value` as JSON knows it, masked: containers to a depth of 6, anything else by its text."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
            return self._number(value)
        if isinstance(value, Mapping) and deep < _DEEPEST:
            return {self(text_of(key)): self.plain(each, deep + 1) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and deep < _DEEPEST:
            return [self.plain(each, deep + 1) for each in value]
        return self(text_of(value))

    def _number(self, value: float) -> Any:  # noqa: ANN401 - as above
        """Return a number as it is, unless it is a secret, or has more digits than Python writes."""
        try:
            shown = json.dumps(value)
        except ValueError:
            return text_of(value)
        return MASK if self._pattern is not None and self._pattern.search(shown) else value
