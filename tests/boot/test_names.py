"""A process has one name among all processes of the fleet, and a child another."""

import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from settings.boot.names import ProcessName


def test_a_name_stays_and_tells_host_and_process() -> None:
    """Two calls agree, and another process, even with the same number, would be told apart."""
    name = ProcessName()
    host, pid, _ = name().rsplit(":", 2)
    assert (host, int(pid)) == (name.host, os.getpid())
    assert name() == name()
    assert name() != ProcessName()()


def test_threads_that_ask_at_once_are_told_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job would lose its claim if the name it was got in were not the one it is kept in."""
    name, both, made = ProcessName(), threading.Barrier(2, timeout=10), secrets.token_hex

    def late(size: int) -> str:
        both.wait()
        return made(size)

    monkeypatch.setattr(secrets, "token_hex", late)
    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(lambda _: name(), range(2))
    assert one == two == name()


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
