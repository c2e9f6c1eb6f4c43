"""Which file a SQLite URL opens, and whether it can."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from settings.loading import inspect_settings
from tests.servers import UNPRIVILEGED

HOUSE = Path(__file__).parents[3]


def said(url: str, **variables: str) -> list[tuple[str, str, str]]:
    """Return severity, code and message of what is said of DATABASE_URL."""
    found = inspect_settings({"DATABASE_URL": url, **variables}, folder=Path("/nonexistent-folder")).problems
    return [(each.severity, each.code, each.message) for each in found if each.variable == "DATABASE_URL"]


def test_a_folder_that_can_be_made_is_a_notice(tmp_path: Path) -> None:
    """The database makes it when it is first opened."""
    [(severity, code, message)] = said(f"sqlite:///{tmp_path}/a/b/app.db")
    assert (severity, code) == ("notice", "missing-folder")
    assert f"{tmp_path}/a/b" in message


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A file stands where a folder should be, or the URL says that nothing is made."""
    (tmp_path / "file").touch()
    assert [row[:2] for row in said(f"sqlite:///{tmp_path}/file/b/app.db")] == [("error", "missing-folder")]
    url = f"sqlite:///file:{tmp_path}/gone/app.db?mode=rw&uri=true"
    assert [row[:2] for row in said(url)] == [("error", "missing-folder")]


def test_a_path_that_no_system_takes_is_an_error() -> None:
    """A name that is too long to be looked at is told, and ends nothing."""
    assert ("error", "unusable-path") in [row[:2] for row in said(f"sqlite:////nowhere/{'x' * 5000}/app.db")]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A URL that names a folder opens nothing."""
    assert ("error", "unusable-path") in [row[:2] for row in said(f"sqlite:///{tmp_path}")]


def test_three_slashes_are_explained(working_directory: Path) -> None:
    """A path that was meant to be absolute is told with the file that it opens."""
    found = {code: message for _, code, message in said("sqlite:///tmp/app.db")}
    assert str(working_directory / "tmp" / "app.db") in found["relative-path"]


@pytest.mark.parametrize("url", ["sqlite:///app.db", "sqlite://", "sqlite:///:memory:", "sqlite:///here/app.db"])
def test_a_plain_path_is_fine(working_directory: Path, url: str) -> None:
    """Files in the working directory and memory need no word."""
    (working_directory / "here").mkdir()
    assert said(url) == []


def test_a_windows_path_is_told(working_directory: Path) -> None:
    """On this system a drive's letter is a part of the file's name."""
    assert "unusual-url" in [code for _, code, _ in said(r"sqlite:///C:\data\app.db")]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_cannot_be_written_is_an_error(kind: str) -> None:
    """A folder or a file of somebody else is told before the first request finds out."""
    script = (
        "import os, sys; from pathlib import Path; from settings.loading import inspect_settings\n"
        f"if os.geteuid() == 0: os.setgid({UNPRIVILEGED}); os.setuid({UNPRIVILEGED})\n"
        "found = inspect_settings({'DATABASE_URL': sys.argv[1]}, folder=Path('/nonexistent-folder')).problems\n"
        "print([each.code for each in found if each.variable == 'DATABASE_URL'])"
    )
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "app.db"
        if kind == "file":
            file.touch(mode=0o444)
        file.parent.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", script, f"sqlite:///{file}"], cwd="/",
            env={"PYTHONPATH": str(HOUSE)}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        file.parent.chmod(0o755)
    assert done.stdout.strip() == "['unwritable-path']", done.stderr


@pytest.mark.parametrize("url", ["postgresql://u:s3k:r@localhost/d", "postgresql://u:p@localhost/d#part"])
def test_a_url_that_is_read_otherwise_than_it_looks_is_a_warning(url: str) -> None:
    """What the room normalises away is told all the same, without the password."""
    [(severity, code, message)] = said(url)
    assert (severity, code) == ("warning", "unusual-url")
    assert "s3k" not in message


@pytest.mark.parametrize(("name", "told"), [("", True), ("gone/x.log", True), ("x.log", False)])
def test_a_log_file_that_cannot_be_is_a_warning(tmp_path: Path, name: str, *, told: bool) -> None:
    """A folder, and a file in a folder that is not there, are told before the boot tells them."""
    found = inspect_settings({"LOG_FILE": str(tmp_path / name)}, folder=Path("/nonexistent-folder")).problems
    wanted = [("LOG_FILE", "unusable-log-file", "warning")] if told else []
    assert [(each.variable, each.code, each.severity) for each in found] == wanted


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("sqlite:///~/app.db", "write the whole path"), ("sqlite:///C:\\app.db", "write the path of this system"),
        ("postgresql://u:p:q@localhost/d", "write : as %3A"), ("postgresql://localhost/d#x", "write # as %23"),
    ],
)  # fmt: skip
def test_what_is_seldom_meant_comes_with_its_fix(url: str, fix: str) -> None:
    """A warning of the URL's own says what to write instead."""
    found = inspect_settings({"DATABASE_URL": url}, folder=Path("/nonexistent-folder")).problems
    [problem] = [each for each in found if each.code == "unusual-url"]
    assert fix in problem.fix
    assert fix not in problem.message
