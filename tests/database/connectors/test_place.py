"""The place of a SQLite file: made where it is missing, and told apart where it cannot be."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from settings.database.connectors.place import prepare_place
from settings.problems import BootstrapError, Diagnosis


def _refusal(file: Path) -> Diagnosis:
    with pytest.raises(BootstrapError) as caught:
        prepare_place(file)
    return caught.value.diagnosis


def test_missing_folders_are_made_and_nothing_else(tmp_path: Path) -> None:
    """All of them, once and again; the file itself is SQLite's to make."""
    for _ in range(2):
        prepare_place(tmp_path / "a" / "b" / "app.db")
    assert (tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())


def test_path_that_is_a_folder_is_told(tmp_path: Path) -> None:
    """And nothing is made in it."""
    assert _refusal(tmp_path).code == "sqlite-is-a-directory"
    assert not list(tmp_path.iterdir())


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, _socket, lambda path: path.symlink_to("/dev/null")])
def test_path_that_keeps_no_data_is_told(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes a device for an empty database, and what is written to it is gone."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    make(Path("app.db"))
    assert _refusal(Path("app.db")).code == "sqlite-no-file"


def test_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    """A file is in the way, or a name is too long for the file system."""
    (tmp_path / "data").write_text("in the way")
    found = _refusal(tmp_path / "data" / "app.db")
    assert found.code == "sqlite-folder"
    assert f"{tmp_path}/data" in found.cause
    assert found.cause.endswith(("cannot be made: File exists", "cannot be made: Not a directory"))
    assert _refusal(tmp_path / ("a" * 300) / "app.db").cause.endswith("cannot be made: File name too long")


def test_file_that_cannot_be_is_named_with_the_reason(tmp_path: Path) -> None:
    """The folder is good, and the file's own name is not."""
    file = tmp_path / ("a" * 300)
    assert _refusal(file).cause == f"there can be no file {file}: File name too long"


def test_folder_that_this_user_may_not_write_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file cannot be made there; one that is there may still be read."""
    (tmp_path / "old.db").write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may write everywhere
    assert _refusal(tmp_path / "new.db").cause == f"this user may not write in the folder {tmp_path}"
    prepare_place(tmp_path / "old.db")
