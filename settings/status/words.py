"""Numbers and moments as people read them, and a sparkline: what templates and terminal share."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

SPARK_WIDTH, SPARK_HEIGHT, SPARK_MARGIN = 120.0, 24.0, 2.0
OVERDUE_SECONDS = 15.0
"""Snapshots and claims lag behind by less than this."""
THIN_SPACE = "\u202f"
_UNITS = ((86400.0, "day", "days"), (3600.0, "h", "h"), (60.0, "min", "min"), (1.0, "s", "s"))
_UNSEEN = re.compile(r"[^\t\n -~\u00a0-\ud7ff\ue000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What no terminal, page or encoder should meet: control characters, signs that turn a line round, half pairs."""


def legible(text: str) -> str:
    r"""Return a text with what would act instead of being read as its escape: `\x1b[2J`, `\u202e`, `\ud800`."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def span(seconds: float) -> str:
    """Return a length of time in its greatest unit: `3 days`, `2 h`, `14 min`, `8 s`."""
    for size, one, many in _UNITS:
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {one if number == 1 else many}"
    return "0 s"


def ago(moment: float | None, now: float) -> str:
    """Return a moment relative to `now`: `14 min ago`, `in 8 s`, `just now`, `never`."""
    if moment is None:
        return "never"
    if abs(now - moment) < 1:
        return "just now"
    return f"{span(now - moment)} ago" if now > moment else f"in {span(moment - now)}"


def due(moment: float | None, now: float) -> str:
    """Return when something is to happen: `in 8 s`, `now`, `overdue by 14 min`, `never`."""
    if moment is None or moment > now + 1:
        return ago(moment, now)
    late = now - moment
    return f"overdue by {span(late)}" if late >= OVERDUE_SECONDS else "now"


def utc(moment: float | None) -> str:
    """Return a moment as `2026-11-25 02:44:25 UTC`; empty when there is none or no calendar reaches it."""
    if moment is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return ""


def clock(moment: float | None) -> str:
    """Return the time of day of a moment: `02:44:25 UTC`."""
    return utc(moment)[11:]


def iso(moment: float | None) -> str:
    """Return a moment as `<time datetime>` and JSON want it; empty when there is none."""
    return utc(moment).replace(" UTC", "Z").replace(" ", "T")


def took(seconds: float | None) -> str:
    """Return how long something took, in two or three digits: `<0.1 ms`, `0.4 ms`, `120 ms`, `1.2 s`, `14 min`."""
    if seconds is None:
        return ""
    if seconds >= 60:
        return span(seconds)
    if seconds >= 1:
        return f"{seconds:.1f} s"
    if seconds < 0.0001:
        return "<0.1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def fact(value: str | float | bool | None) -> str:
    """Return a figure of a service as a person reads it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """Return a number with thousands set apart, without needless decimals: `12 345`, `0.25`."""
    text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace(",", THIN_SPACE)


def spark_points(values: Sequence[float]) -> str:
    """Return the `points` of an SVG polyline from zero to the greatest value; empty below two values."""
    if len(values) < 2:
        return ""
    top = max(*values, 1e-9)
    step = (SPARK_WIDTH - 2 * SPARK_MARGIN) / (len(values) - 1)
    room = SPARK_HEIGHT - 2 * SPARK_MARGIN
    heights = (SPARK_HEIGHT - SPARK_MARGIN - room * max(value, 0.0) / top for value in values)
    return " ".join(f"{SPARK_MARGIN + step * n:.1f},{height:.1f}" for n, height in enumerate(heights))


def spark_words(values: Sequence[float]) -> str:
    """Return what a sparkline of milliseconds shows, for those who do not see it."""
    low, high = (took(value / 1000) for value in (min(values), max(values)))
    return f"latency of the last {len(values)} checks: {low} to {high}"
