"""Names of hosts, asked of the system's resolver in bounded time."""

import socket
import threading
from queue import Empty, SimpleQueue


def await_name(host: str, port: int, seconds: float) -> None:
    """Return once the name server has answered for `host`; at most `seconds` later.

    The resolver of the system knows no time-out of ours: with silent name servers each request that wants a new
    connection would wait for ten seconds and more. It is asked on a daemon thread, which ends when the resolver does.

    Raises:
        OSError: What the resolver raised; TimeoutError when it has not answered.
    """
    answer: SimpleQueue[Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001 # it is raised by whoever waits
            answer.put(error)
        else:
            answer.put(None)

    try:
        threading.Thread(target=ask, name="resolver", daemon=True).start()
    except RuntimeError:
        return  # no more threads: the connection itself asks, and waits as long as that takes
    try:
        error = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError("the name server did not answer") from None
    if error is not None:
        raise error
