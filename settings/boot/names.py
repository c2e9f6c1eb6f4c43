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
        self._pid = 0
        self._name = ""

    def __call__(self) -> str:
        """Return the name of the process that calls."""
        if self._pid != os.getpid():
            self._name = f"{self._host}:{os.getpid()}:{secrets.token_hex(4)}"
            self._pid = os.getpid()
        return self._name

    @property
    def host(self) -> str:
        """The machine's name."""
        return self._host
