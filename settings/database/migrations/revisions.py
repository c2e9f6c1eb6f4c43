"""Revisions by name, without Alembic: the newest ones of a folder are read from its files."""

import ast
from pathlib import Path
from typing import Any, NamedTuple

HEAD = "0001"
"""Our newest revision; a test compares it with the folder's."""
KNOWN = frozenset({"0001"})
"""Every revision of ours that this code knows."""
APPLICATION_VERSION_TABLE = "alembic_version"
"""What Alembic and Flask-Migrate call theirs."""


class Line(NamedTuple):
    """The revisions of a folder: all of them, and the newest ones."""

    known: frozenset[str]
    heads: frozenset[str]


def line_of(folder: Path) -> Line | None:
    """Return the revisions of an Alembic folder, or None where only Alembic can tell."""
    revisions: set[str] = set()
    earlier: set[str] = set()
    files = sorted((folder / "versions").glob("*.py"))
    for file in files:
        try:
            values = _assigned(ast.parse(file.read_bytes()))
        except (SyntaxError, ValueError):
            return None
        if values.get("depends_on"):
            return None
        if isinstance(values.get("revision"), str):
            revisions.add(values["revision"])
        below = values.get("down_revision")
        earlier.update((below,) if isinstance(below, str) else below or ())
    return Line(frozenset(revisions), frozenset(revisions - earlier)) if files else None


_NAMES = frozenset({"revision", "down_revision", "depends_on"})


def _assigned(module: ast.Module) -> dict[str, Any]:
    """Return what the top level assigns to Alembic's names; anything but literals raises ValueError."""
    found: dict[str, Any] = {}
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and target.id in _NAMES and value is not None:
                found[target.id] = ast.literal_eval(value)
    return found
