"""Where lines go, and what happens when they cannot."""

import io
import os
from pathlib import Path

import pytest

from settings.logs.output import LogFile, Output, Stream


def test_a_file_that_logrotate_moved_is_opened_anew(tmp_path: Path) -> None:
    """Lines after the move are in a new file of the same name; moved away and deleted are alike."""
    file = LogFile(tmp_path / "shop.log")
    file.write("one\n")
    (tmp_path / "shop.log").rename(tmp_path / "shop.log.1")
    file.write("two\n")
    (tmp_path / "shop.log").unlink()
    (tmp_path / "shop.log").write_text("theirs\n")
    file.write("three\n")
    file.close()
    assert (tmp_path / "shop.log.1").read_text() == "one\n"
    assert (tmp_path / "shop.log").read_text() == "theirs\nthree\n"


def test_a_file_that_logrotate_copied_and_emptied_goes_on(tmp_path: Path) -> None:
    """With copytruncate the next line stands at the beginning."""
    file = LogFile(tmp_path / "shop.log")
    file.write("one\n")
    os.truncate(tmp_path / "shop.log", 0)
    file.write("two\n")
    file.close()
    assert (tmp_path / "shop.log").read_bytes() == b"two\n"


def test_a_relative_path_stays_where_it_was(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later change of the working directory does not move the log."""
    file = LogFile(Path("shop.log"))
    (working_directory / "elsewhere").mkdir()
    monkeypatch.chdir(working_directory / "elsewhere")
    file.write("one\n")
    file.close()
    assert (working_directory / "shop.log").read_text() == "one\n"


def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    """Others on the machine cannot read it."""
    file = LogFile(tmp_path / "shop.log")
    file.write("one\n")
    file.close()
    assert (tmp_path / "shop.log").stat().st_mode & 0o007 == 0


def test_a_pipe_that_nobody_reads_does_not_block(tmp_path: Path) -> None:
    """It is a destination that fails, not one that stops the service."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        LogFile(tmp_path / "pipe").write("one\n")


def test_a_line_that_a_full_disk_cut_short_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line does not stick to the torn one."""
    file = LogFile(tmp_path / "shop.log")
    file.write("one\n")
    write, sizes = os.write, iter([2, None])

    def full(descriptor: int, data: bytes) -> int:
        if (size := next(sizes)) is None:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:size])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            file.write("two\n")
    file.write("three\n")
    file.close()
    assert (tmp_path / "shop.log").read_text() == "one\ntw\nthree\n"


def test_a_full_disk_is_said_once_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that is lost counts; standard error hears of the first with cause and fix."""
    output = Output([LogFile(Path("/dev/full"))])
    for _ in range(5):
        output.write("line\n")
    assert output.failures == {"/dev/full": 5}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "No space left on device" in said
    assert "Fix: free space" in said


def test_one_destination_does_not_harm_another() -> None:
    """What the first cannot take, the second has."""
    closed, sound = io.StringIO(), io.StringIO()
    closed.close()
    output = Output([Stream(closed), Stream(sound)])
    output.write("line\n")
    assert sound.getvalue() == "line\n"
    assert output.failures == {"standard output": 1}


def test_without_a_standard_error_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon has none, or a closed one; the count stays."""
    gone = io.StringIO()
    gone.close()
    for stderr in (None, gone):
        monkeypatch.setattr("sys.stderr", stderr)
        output = Output([Stream(gone)])
        output.write("line\n")
        assert sum(output.failures.values()) == 1


def test_a_stream_of_few_letters_gets_escapes() -> None:
    """Under LANG=C a line with other letters is written all the same."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Stream(stream).write("größe\n")
    assert raw.getvalue() == b"gr\\xf6\\xdfe\n"


def test_standard_output_is_the_one_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream of its own, a line goes to whatever sys.stdout is then."""
    Output([Stream(None)]).write("line\n")
    assert capsys.readouterr().out == "line\n"
