"""What a script says, as far as a migration must know: where its statements begin, past comments and quotes."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<nothing>\s+|--[^\r\n]*)
    |(?P<comment>/\*)
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    |(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
_IN_A_COMMENT = re.compile(r"/\*|\*/")
_ENDING = re.compile(r"\b(COMMIT|END|ABORT|ROLLBACK|PREPARE)\b", re.IGNORECASE)

_PART = r"(?:\"(?:[^\"]|\"\")*\"|`[^`]*`|[^\W\d][\w$]*)"
_NAME = rf"{_PART}(?: \. {_PART})*"
_KIND = r"(?:or replace )?(?:unlogged |materialized |foreign )?(?P<kind>table|view|type) (?:if (?:not )?exists )?"
_MAKES = re.compile(rf"(?P<verb>create|drop) {_KIND}(?P<names>{_NAME}(?: , {_NAME})*)")
_RENAMES = re.compile(rf"alter {_KIND}(?:only )?(?P<old>{_NAME}) rename to (?P<new>{_PART})")
Name = tuple[str, ...]
"""A name in one or two parts, without quotes."""


def statements(script: str) -> Iterator[list[str]]:
    """Yield the tokens of each statement: words in lower case, names and texts with their quotes, no comments.

    The statements in the body of a trigger or a function are part of the one that creates it.
    """
    found: list[str] = []
    inside = False
    for piece in _tokens(script):
        if piece == ";" and not inside:
            yield from [found] if found else []
            found = []
            continue
        found.append(piece)
        if inside:
            inside = not (piece == "end" and found[-2] in {";", "begin", "atomic"})
        elif found[0] == "create":
            inside = found[-2:] == ["begin", "atomic"] or (piece == "begin" and "trigger" in found[1:3])
    yield from [found] if found else []


def _tokens(script: str) -> Iterator[str]:
    position = 0
    while match := _TOKEN.match(script, position):
        position = match.end()
        if match["comment"]:
            position = _past_comment(script, position)
        elif not match["nothing"]:
            yield match[0].lower() if match["word"] else match[0]


def _past_comment(script: str, position: int) -> int:
    """Return where a comment ends; one in it, as PostgreSQL allows, belongs to it."""
    depth = 1
    for match in _IN_A_COMMENT.finditer(script, position):
        depth += 1 if match[0] == "/*" else -1
        if not depth:
            return match.end()
    return len(script)


def ends_transaction(script: str) -> bool:
    """Say whether a statement of a script ends the transaction that it runs in; back to a savepoint ends none."""
    return _ENDING.search(script) is not None and any(map(_ends, statements(script)))


def _ends(statement: list[str]) -> bool:
    first, then = statement[0], statement[1:3]
    if first == "rollback":
        return "to" not in then
    return first in {"commit", "end", "abort"} or (first == "prepare" and then[:1] == ["transaction"])


def changes(script: str) -> dict[tuple[str, Name], bool]:
    """Return by kind and name which tables and types a script leaves there, and which it takes; a view is a table."""
    found: dict[tuple[str, Name], bool] = {}
    for statement in statements(script):
        text = " ".join(statement)
        if match := _MAKES.match(text):
            found.update(((_kind(match), name), match["verb"] == "create") for name in _names(match["names"]))
        elif match := _RENAMES.match(text):
            ((*schema, old), (new,)) = _names(match["old"])[0], _names(match["new"])[0]
            found.update({(_kind(match), (*schema, old)): False, (_kind(match), (*schema, new)): True})
    return found


def _kind(match: re.Match[str]) -> str:
    return match["kind"].replace("view", "table")


def _names(text: str) -> list[Name]:
    return [tuple(map(_unquoted, re.findall(_PART, name))) for name in re.findall(_NAME, text)]


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part[0] in '"`' else part
