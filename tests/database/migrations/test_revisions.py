"""Revisions are known by name without Alembic, as Alembic would find them."""

from pathlib import Path

import pytest

from settings.database.migrations.revisions import line_of
from settings.database.tables import VERSION_TABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('revision = "a"\ndown_revision = None', {"a"}),
        ('revision: str = "a"\ndown_revision: str | None = None', {"a"}),
        ('revision = "a"\ndown_revision = "b"', None),
        ('revision = "a"\ndown_revision = ("b", "c")', None),
        ('revision = "a" + "b"', None),
        ("revision = (", None),
        ('revision = "a"\ndepends_on = "b"', None),
        ('revision = "a"\ndown_revision = "a"', None),
        ('revision, down_revision = "a", None', None),
        ('down_revision = None\nif True:\n    revision = "a"', None),
        ('revision = "a"\ndown_revision = None\nrevision = "b"', None),
        ('revision = "a"', None),
        ("", None),
    ],
)
def test_newest_revisions_are_read_without_alembic(tmp_path: Path, text: str, expected: set[str] | None) -> None:
    """Literals are read; where there is anything else, Alembic is asked."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "one.py").write_text(text)
    line = line_of(tmp_path)
    assert (None if line is None else line.heads) == expected


def test_what_is_no_revision_is_passed_over_as_alembic_does(tmp_path: Path) -> None:
    """A package's own file and an editor's lock are none."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "a1.py").write_text('revision = "a1"\ndown_revision = None')
    for name in ("__init__.py", ".#a1.py"):
        (tmp_path / "versions" / name).write_text("")
    assert line_of(tmp_path) == (frozenset({"a1"}), frozenset({"a1"}))


def test_our_newest_revision_is_the_folders() -> None:
    """What the code knows without Alembic is what Alembic finds."""
    from settings.database.migrations.alembic_runner import OURS as PLACE
    from settings.database.migrations.alembic_runner import Folder
    from settings.database.migrations.revisions import HEAD, KNOWN

    folder = Folder(PLACE, VERSION_TABLE)
    assert folder.heads() == (HEAD,)
    assert folder.unknown(KNOWN) == []
    assert folder.unknown([*KNOWN, "zzz"]) == ["zzz"]
