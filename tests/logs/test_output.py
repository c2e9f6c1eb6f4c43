"""Where lines go, and what happens when they cannot."""

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from settings.forks import watch_forks
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


def _writes(output: Output, line: str, times: int) -> bool:
    """Say whether a thread that writes so many lines comes to its end."""

    def write() -> None:
        for _ in range(times):
            output.write(line)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


@pytest.mark.parametrize("length", [100, 20_000])
def test_a_pipe_whose_reader_stands_still_holds_nobody_up(length: int) -> None:
    """What it does not take is counted; when it is read again the lines come again, each on its own."""
    reader, writer = os.pipe()
    line = "x" * length + "\n"
    with os.fdopen(writer, "w") as pipe:
        output = Output([Stream(pipe, patience=0.1)])
        assert _writes(output, line, 2000)
        assert "nobody reads it" in output.failing["standard output"]
        taken = os.read(reader, 1_000_000).decode()
        output.write(line)
        assert output.failing == {}
        assert 0 < output.failures["standard output"] < 2000
        whole, torn = (taken + os.read(reader, 1_000_000).decode()).splitlines(), line[:-1]
        assert whole.count(torn) == 2001 - output.failures["standard output"]
        assert all(torn.startswith(each) for each in whole)
    os.close(reader)


def test_standard_error_that_nobody_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """`2>&1 | reader`: what would be said there of the full pipe waits a second, once."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        output = Output([Stream(pipe, patience=0.1)])
        assert _writes(output, "x" * 100 + "\n", 2000)
    os.close(reader)


def test_a_stream_of_few_letters_gets_escapes() -> None:
    """Under LANG=C a line with other letters is written all the same."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Stream(stream).write("größe\n")
    assert raw.getvalue() == b"gr\\xf6\\xdfe\n"


@pytest.mark.parametrize("says", [io.UnsupportedOperation, OSError, ValueError, AttributeError, NotImplementedError])
def test_a_stream_without_a_descriptor_gets_its_lines(says: type[Exception]) -> None:
    """Whatever it raises when it is asked for one, nobody waits for it and no line is lost."""

    class Own(io.StringIO):
        def fileno(self) -> int:
            raise says("no descriptor")

    stream = Own()
    Stream(stream).write("line\n")
    assert stream.getvalue() == "line\n"


def test_standard_output_is_the_one_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream of its own, a line goes to whatever sys.stdout is then."""
    Output([Stream(None)]).write("line\n")
    assert capsys.readouterr().out == "line\n"


class Interrupted(LogFile):
    """A file in whose writing a signal handler ends the process, once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.signals = [SystemExit]

    def write(self, text: str) -> None:
        """Raise what the handler raises, then write."""
        while self.signals:
            raise self.signals.pop()
        super().write(text)


def test_a_line_that_a_signal_ended_is_written_at_the_end(tmp_path: Path) -> None:
    """A handler that calls sys.exit() in the middle of a write takes no line with it, and doubles none."""
    first = io.StringIO()
    output = Output([Stream(first), Interrupted(tmp_path / "shop.log")])
    with pytest.raises(SystemExit):
        output.write("last words\n")
    output.close()
    assert (tmp_path / "shop.log").read_text() == first.getvalue() == "last words\n"


def test_a_stream_may_raise_anything() -> None:
    """What stands in for standard output may be of anybody's making; its failure is counted like a full disk."""

    class Strange(io.StringIO):
        def flush(self) -> None:
            raise RuntimeError("reentrant call")

    output = Output([Stream(Strange())])
    output.write("line\n")
    assert output.failing == {"standard output": "reentrant call"}


def test_a_forked_child_counts_its_own_failures(tmp_path: Path) -> None:
    """What its parent could not write is the parent's."""
    output = Output([LogFile(tmp_path / "missing" / "shop.log")])
    watch_forks(output)
    output.write("line\n")
    if (child := os.fork()) == 0:
        os._exit(sum(output.failures.values()) + len(output.failing))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(output.failures.values()) == 1


def test_a_fork_does_not_wait_for_who_is_stuck_in_a_write() -> None:
    """A destination that takes nothing holds up the thread that writes, and a fork for a second at most."""
    inside, go_on = threading.Event(), threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            inside.set()
            go_on.wait(30)
            return super().write(text)

    output, free = Output([Stream(Stuck())]), io.StringIO()
    watch_forks(output)
    thread = threading.Thread(target=output.write, args=("line\n",))
    thread.start()
    assert inside.wait(10)
    if (child := os.fork()) == 0:
        output.destinations = (Stream(free),)
        output.write("the child's\n")
        os._exit(0 if free.getvalue() == "the child's\n" else 1)
    go_on.set()
    thread.join(10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    output.write("after\n")
