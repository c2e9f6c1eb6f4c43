"""Revisions by name, without Alembic: the newest ones of a folder are read from its files."""

import ast
from pathlib import Path
from typing import Any

HEAD = "0001"
"""Our newest revision; a test compares it with the folder's."""
KNOWN = frozenset({"0001"})
"""Every revision of ours that this code knows."""
APPLICATION_VERSION_TABLE = "alembic_version"
"""What Alembic and Flask-Migrate call theirs."""


def heads_of(folder: Path) -> frozenset[str] | None:
    """Return the newest revisions of an Alembic folder, or None where only Alembic can tell."""
    revisions: set[str] = set()
    earlier: set[str] = set()
    for file in sorted((folder / "versions").glob("*.py")):
        try:
            values = _assigned(ast.parse(file.read_bytes()))
        except (SyntaxError, ValueError):
            return None
        if isinstance(values.get("revision"), str):
            revisions.add(values["revision"])
        below = values.get("down_revision")
        earlier.update((below,) if isinstance(below, str) else below or ())
    return frozenset(revisions - earlier)


def _assigned(module: ast.Module) -> dict[str, Any]:
    """Return what the top level assigns to Alembic's two names; anything but literals raises ValueError."""
    found: dict[str, Any] = {}
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"} and value is not None:
                found[target.id] = ast.literal_eval(value)
    return found
