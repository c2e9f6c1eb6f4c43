"""Names that look like ours and are not: a warning for a likely slip, a notice for a name that nobody reads."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter

from settings.problems import Problem

PREFIXES = ("DATABASE_", "REDIS_", "CACHE_", "WS_", "WORKERS_", "STATUS_")
LONG_NAME = 10
"""From this length on two slips are forgiven; in a shorter name they make another name (APP_HOME, APP_NAME)."""
NOT_OURS = frozenset({
    "APP_SECRET", "AWS_URL", "DATABASE_CONNECTION_POOL_URL", "DATABASE_DIRECT_URL", "DATABASE_PRIVATE_URL",
    "DATABASE_PUBLIC_URL", "DATABASE_READ_URL", "DATABASE_READONLY_URL", "DATABASE_REPLICA_URL",
    "DATABASE_URL_UNPOOLED", "LOG_DIR", "REDIS_PRIVATE_URL", "REDIS_PUBLIC_URL", "REDIS_TEMPORARY_URL",
    "REDIS_TLS_URL", "TEST_DATABASE_URL", "WS_HOST_URL",
})  # fmt: skip
"""Names of hosting platforms and other tools that look near and are meant."""
_LINKS = (
    r".+_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)=.*|.+_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?=.*|.+_ENV_.+=.*"
    r"|.+_PORT=(tcp|udp|sctp)://.*|.+_NAME=/.+/.+"
)
"""What Kubernetes services and Docker links put into an environment, as NAME=value."""


def folded(name: str) -> str:
    """Return a name as ours are written: capitals, and underscores for hyphens and dots."""
    return name.upper().replace("-", "_").replace(".", "_")


def distance(left: str, right: str, most: int) -> int:
    """Return the edit distance in which a swap of two neighbours counts once (optimal string alignment).

    Args:
        left: One word.
        right: The other.
        most: What is interesting: a greater distance is returned as some number above it.
    """
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(rows[-1]) >= most:
            return most + 1
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, known: Iterable[str], *, most: int) -> str | None:
    """Return the known word that is at most `most` edits away: the nearest, the first of several; None without one."""
    letters = frozenset(word)
    # One edit changes the set of letters by two at the most: this spares nearly every computation.
    close = (each for each in known if len(letters ^ frozenset(each)) <= 2 * most)
    found = min(((distance(word, each, most), each) for each in close), key=itemgetter(0), default=(most + 1, ""))
    return found[1] if found[0] <= most else None


def name_problems(names: Iterable[tuple[str, str, str]], known: Collection[str]) -> list[Problem]:
    """Return what is to be said of the names that are not ours.

    Args:
        names: Name, value and source of everything in the environment and the files.
        known: Our variables, and those of the application's own models.
    """
    read = {*known, *(f"{name}_FILE" for name in known), "APP_ENV_DIR"}
    by_length: dict[int, list[str]] = defaultdict(list)
    for each in sorted(read):
        by_length[len(each)].append(each)
    problems = []
    for name, value, source in names:
        if name in read or name in NOT_OURS:
            continue
        plain = re.fullmatch(r"[\w.-]+", name)
        problem = _look_at(name, source, by_length, known) if plain else _cut_off(name, source, read)
        if problem is not None and not re.fullmatch(_LINKS, f"{name}={value}", re.DOTALL):
            problems.append(problem)
    return problems


def _cut_off(name: str, source: str, read: Collection[str]) -> Problem | None:
    """Return what is wrong with `NAME:value=more`; the rest of what stands for a name may be a part of a secret."""
    begin = re.match(r"\s*(\w*)", name)
    word = begin[1] if begin else ""
    message = f"what stands behind it is read as a part of its name: {word} is not set here"
    return Problem(word, "warning", "invalid-line", message, f"write {word}=value", source) if word in read else None


def _look_at(name: str, source: str, by_length: Mapping[int, list[str]], known: Collection[str]) -> Problem | None:
    plain = folded(name)
    most = 2 if len(plain) >= LONG_NAME else 1
    lengths = range(len(plain) - most, len(plain) + most + 1)
    close = nearest(plain, (each for length in lengths for each in by_length.get(length, ())), most=most)
    if close is not None:
        return Problem(name, "warning", "near-miss", f"it is not read; {close} is", f"rename it to {close}", source)
    if not name.startswith(PREFIXES):
        return None
    prefix = name.partition("_")[0] + "_"
    ours = ", ".join(each for each in known if each.startswith(prefix))
    return Problem(
        name, "notice", "unknown-variable", "it is not read", f"remove it, or use one of these: {ours}", source
    )
