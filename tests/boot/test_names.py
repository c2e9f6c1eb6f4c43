"""A process has one name among all processes of the fleet, and a child another."""

import os

from settings.boot.names import ProcessName


def test_a_name_stays_and_tells_host_and_process() -> None:
    """Two calls agree, and another process, even with the same number, would be told apart."""
    name = ProcessName()
    host, pid, _ = name().rsplit(":", 2)
    assert (host, int(pid)) == (name.host, os.getpid())
    assert name() == name()
    assert name() != ProcessName()()


def test_a_forked_child_has_a_name_of_its_own() -> None:
    """The child does not claim runs in its parent's name."""
    name = ProcessName()
    mine = name()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, name().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 500).decode()
    assert theirs.rsplit(":", 2)[1] == str(child)
    assert theirs != mine
