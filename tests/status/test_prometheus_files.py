"""The files of prometheus_client's multiprocess mode."""

import threading
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from settings.status.prometheus_files import FILE_BYTES, PrometheusFiles, ServerCollector


def test_a_folder_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    """A link that another user laid is refused, so that nobody can lead our writes elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "files").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        PrometheusFiles(tmp_path / "files")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_files_have_their_room_from_the_beginning(tmp_path: Path) -> None:
    """The blocks are allocated, so that a disk that fills up later cannot kill a process that counts."""
    files = PrometheusFiles(tmp_path / "files")
    sizes = [(path.stat().st_size, path.stat().st_blocks * 512) for path in (tmp_path / "files").glob("*.db")]
    assert len(sizes) == 2
    assert all(size == FILE_BYTES <= allocated for size, allocated in sizes)
    files.close()


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    """Endpoints and counts are not for other users of the machine."""
    files = PrometheusFiles(tmp_path / "files")
    assert (tmp_path / "files").stat().st_mode & 0o077 == 0
    files.close()


def test_a_scrape_never_meets_half_a_file(tmp_path: Path) -> None:
    """While processes begin to count, every scrape can be read."""
    folder = tmp_path / "files"
    folder.mkdir()
    ended = threading.Event()

    def begin() -> None:
        for _ in range(50):
            PrometheusFiles(folder).close()
        ended.set()

    thread = threading.Thread(target=begin)
    thread.start()
    scrapes = 0
    while not ended.is_set() or not scrapes:
        assert generate_latest(ServerCollector(folder)) is not None
        scrapes += 1
    thread.join()
