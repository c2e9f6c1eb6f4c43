"""The name of a process among all processes of the fleet, in claims and snapshots."""

import os
import secrets
import socket


class ProcessName:
    """Returns `host:pid:token` when called; a forked child gets a name of its own.

    The token tells a process from an earlier one with the same number, as after a restart of a container.
    """

    def __init__(self) -> None:
        self._host = socket.gethostname()[:100]
        self._names: dict[int, str] = {}

    def __call__(self) -> str:
        """Return the name of the process that calls: of the names that threads make at once, the first stays."""
        pid = os.getpid()
        return self._names.get(pid) or self._names.setdefault(pid, f"{self._host}:{pid}:{secrets.token_hex(4)}")

    @property
    def host(self) -> str:
        """The machine's name."""
        return self._host
