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
    # Like Alembic, which asks every other file for its revision.
    files = [file for file in (folder / "versions").glob("*.py") if not file.name.startswith(("__init__", ".#"))]
    for file in files:
        try:
            values = _assigned(ast.parse(file.read_bytes()))
        except (SyntaxError, ValueError):
            return None
        if values.get("depends_on") or not isinstance(values.get("revision"), str) or "down_revision" not in values:
            return None
        revisions.add(values["revision"])
        below = values["down_revision"]
        earlier.update((below,) if isinstance(below, str) else below or ())
    line = Line(frozenset(revisions), frozenset(revisions - earlier))
    return None if not line.heads or earlier - revisions else line  # empty, in a circle, or with a gap


_NAMES = frozenset({"revision", "down_revision", "depends_on"})


def _assigned(module: ast.Module) -> dict[str, Any]:
    """Return what the top level assigns to Alembic's names, each once and as a literal; else ValueError is raised."""
    found: dict[str, Any] = {}
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and target.id in _NAMES and value is not None:
                found[target.id] = ast.literal_eval(value)
    if sum(map(_binds_a_name, ast.walk(module))) != len(found):
        raise ValueError("a name of Alembic's is bound twice, by unpacking, or in a block")
    return found


def _binds_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in _NAMES
