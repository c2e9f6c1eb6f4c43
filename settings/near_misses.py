"""Names that look like ours and are not: a warning for a likely slip, a notice for a name that nobody reads."""

import re
from collections.abc import Collection, Iterable

from settings.problems import Problem

PREFIXES = ("DATABASE_", "REDIS_", "CACHE_", "WS_", "WORKERS_", "STATUS_")
NOT_OURS = frozenset(
    {"REDIS_TLS_URL", "TEST_DATABASE_URL", "DATABASE_READ_URL", "APP_SECRET", "LOG_DIR", "LOG_LEVEL_DEFAULT"}
)
_LINKS = re.compile(
    r".*_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|.*_PORT_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?|.*_PORT|.*_(ENV_.*|NAME)",
    re.ASCII,
)
"""What Kubernetes services and Docker links put into an environment."""


def _distance(left: str, right: str, most: int) -> int:
    """Return the edit distance with swaps of neighbours (optimal string alignment), or `most` + 1 when above."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known variable within two edits or a swap of `name`, case and hyphens aside; None when there is none."""
    folded = name.upper().replace("-", "_")
    distances = {each: _distance(folded, each, 2) for each in known}
    best = min(distances, key=lambda each: distances[each])
    allowed = 2 if len(folded) > 7 else 1
    return best if distances[best] <= allowed else None


def name_problems(names: Iterable[tuple[str, str]], known: Collection[str]) -> list[Problem]:
    """Return what is to be said of the (name, source) pairs that are not ours."""
    read = {*known, *(f"{name}_FILE" for name in known), "APP_ENV_DIR"}
    candidates = [(name, source) for name, source in names if name not in read and name not in NOT_OURS]
    found = [_look_at(name, source, known) for name, source in candidates if not _LINKS.fullmatch(name)]
    return [problem for problem in found if problem is not None]


def _look_at(name: str, source: str, known: Collection[str]) -> Problem | None:
    if (close := nearest(name, known)) is not None:
        return Problem(name, "warning", "near-miss", f"it is not read; {close} is", f"rename it to {close}", source)
    if name.startswith(PREFIXES):
        prefix = name.partition("_")[0] + "_"
        ours = ", ".join(each for each in known if each.startswith(prefix))
        return Problem(
            name, "notice", "unknown-variable", f"it is not read; of {prefix}… these are: {ours}", "remove it", source
        )
    return None
