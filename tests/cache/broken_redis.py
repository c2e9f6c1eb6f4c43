"""Redis in every bad state that can be made here: each yields the URL of a server that is in it."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

from tests.proxy import Mode, TcpProxy
from tests.servers import RedisServer, free_port, wait_until

CERTIFICATE = Path(__file__).parent / "certificates" / "server.pem"
"""Trusts itself, for the address 127.0.0.1 only, until the year 2126; its key lies beside it."""

PASSWORD = "s3cret/pass"
ENCODED = "s3cret%2Fpass"


@contextlib.contextmanager
def started(*options: str) -> Iterator[RedisServer]:
    """Run a Redis with options."""
    server = RedisServer()
    try:
        yield server.start(*options)
    finally:
        server.close()


@contextlib.contextmanager
def running(*options: str, database: int = 0) -> Iterator[str]:
    """Run a Redis with options and yield its URL."""
    with started(*options) as server:
        yield server.url(database)


@contextlib.contextmanager
def refused() -> Iterator[str]:
    """Nothing listens."""
    yield f"redis://127.0.0.1:{free_port()}/0"


@contextlib.contextmanager
def url(text: str) -> Iterator[str]:
    """A URL that leads nowhere."""
    yield text


@contextlib.contextmanager
def misbehaving(mode: Mode, scheme: str = "redis") -> Iterator[str]:
    """A listener that hangs, closes, resets or speaks HTTP."""
    with TcpProxy(mode=mode) as proxy:
        yield f"{scheme}://127.0.0.1:{proxy.port}/0"


@contextlib.contextmanager
def blackhole() -> Iterator[str]:
    """An address whose packets are dropped: a listener that accepts nothing, its backlog full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@contextlib.contextmanager
def frozen() -> Iterator[str]:
    """A stopped process: the kernel accepts, nobody answers."""
    with started() as server, server.frozen():
        yield server.url()


@contextlib.contextmanager
def with_password(userinfo: str, query: str = "") -> Iterator[str]:
    """A Redis that wants a password, asked with `userinfo`."""
    with started("--requirepass", PASSWORD) as server:
        yield f"redis://{userinfo}127.0.0.1:{server.port}/0{query}"


@contextlib.contextmanager
def with_user(*rules: str) -> Iterator[str]:
    """A Redis with an ACL user `app`, asked as that user."""
    with started() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(f"ACL SETUSER app on >{PASSWORD} {' '.join(rules)}\r\n".encode())
            assert connection.recv(64) == b"+OK\r\n"
        yield f"redis://app:{ENCODED}@127.0.0.1:{server.port}/0"


@contextlib.contextmanager
def full() -> Iterator[str]:
    """A Redis at maxmemory that evicts nothing."""
    with started("--maxmemory-policy", "noeviction") as server:
        server.client().set("somebody:else", "x" * 1000)
        server.client().config_set("maxmemory", 1)
        yield server.url()


@contextlib.contextmanager
def full_of_clients() -> Iterator[str]:
    """A Redis at maxclients."""
    with started("--maxclients", "4") as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(contextlib.closing(server.client()))
            with contextlib.suppress(redis.ConnectionError):  # a client of the start may not be gone yet
                client.ping()
        yield server.url()


@contextlib.contextmanager
def cannot_save() -> Iterator[str]:
    """A Redis that could not write its snapshot, and refuses writes since."""
    with started() as server:
        (server.folder / "dump.rdb").mkdir()
        client = server.client()
        client.set("somebody:else", 1)
        client.config_set("save", "3600 1")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield server.url()


@contextlib.contextmanager
def busy() -> Iterator[str]:
    """A Redis that runs a script without end."""
    with started("--lua-time-limit", "1") as server:

        def run() -> None:
            with contextlib.suppress(redis.RedisError):
                server.client().eval("while true do end", 0)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_until(lambda: _answers_busy(server))
            yield server.url()
        finally:
            server.client().script_kill()
            thread.join()


def _answers_busy(server: RedisServer) -> bool:
    try:
        server.client().ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


@contextlib.contextmanager
def saying(words: bytes) -> Iterator[str]:
    """A listener that answers every command with the same words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_say, args=(listener, words), daemon=True).start()
        try:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _say(listener: socket.socket, words: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection, words), daemon=True).start()


def _answer(connection: socket.socket, words: bytes) -> None:
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            commands = sum(line.startswith(b"*") for line in data.split(b"\r\n"))
            connection.sendall(words * commands)


class Sentinel(RedisServer):
    """A Redis Sentinel that watches nothing."""

    def command(self) -> Sequence[str]:
        """Start redis-server as a Sentinel, from a file, which it insists on."""
        (self.folder / "sentinel.conf").write_text(f"port {self.port}\nbind 127.0.0.1\n")
        return [super().command()[0], str(self.folder / "sentinel.conf"), "--sentinel"]


@contextlib.contextmanager
def cluster_node(*, database: int = 0) -> Iterator[str]:
    """A node of a Redis Cluster that serves no slots."""
    server = RedisServer()
    while not _is_free(server.port + 10_000):  # its bus listens there
        server.port = free_port()
    try:
        yield server.start("--cluster-enabled", "yes").url(database)
    finally:
        server.close()


def _is_free(port: int) -> bool:
    with socket.socket() as trial, contextlib.suppress(OSError, OverflowError):
        trial.bind(("127.0.0.1", port))
        return True
    return False


@contextlib.contextmanager
def sentinel() -> Iterator[str]:
    """A Sentinel in the place of a Redis."""
    server = Sentinel()
    try:
        yield server.start().url()
    finally:
        server.close()


@contextlib.contextmanager
def tls(query: str = "", *, host: str = "127.0.0.1", scheme: str = "rediss") -> Iterator[str]:
    """A Redis behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE.with_name("server-with-key.pem"))
    with started() as server, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_terminate, args=(listener, context, server.port), daemon=True).start()
        try:
            yield f"{scheme}://{host}:{listener.getsockname()[1]}/0{query}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _terminate(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_decrypt, args=(connection, context, port), daemon=True).start()


def _decrypt(connection: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(OSError))  # a client that hangs up in the handshake, for one
        encrypted = stack.enter_context(context.wrap_socket(connection, server_side=True))
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        back = threading.Thread(target=_copy, args=(plain, encrypted), daemon=True)
        back.start()
        _copy(encrypted, plain)
        plain.shutdown(socket.SHUT_RDWR)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
