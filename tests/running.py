"""Running the application as its users do: real processes under real servers, with their output kept."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from tests.servers import free_port, process_tree, signal_tree, wait_until

SCRIPTS = Path(sys.executable).parent
HOUSE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        text: Body as text.
        headers: Headers, names in lower case.
    """

    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.text)


class _Stays(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the test."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        """Follow nothing."""


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays)


def ask(url: str, *, headers: Mapping[str, str] | None = None, method: str = "GET", timeout: float = 10) -> Answer:
    """Return a server's answer, whatever its status.

    Raises:
        OSError: Nothing answered.
    """
    request = urllib.request.Request(url, headers=dict(headers or {}), method=method)
    try:
        with _opener.open(request, timeout=timeout) as response:
            return _answer(response)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error)


def _answer(response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, response.read().decode(), headers)


def environment(**variables: object) -> dict[str, str]:
    """Return the environment of a child process: the tests' own without our variables, and `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    return {**kept, "PYTHONPATH": str(HOUSE), **{name: str(value) for name, value in variables.items()}}


class Running:
    """A process of the application, serving on a port of its own.

    Args:
        command: The command line; `{port}` stands for the port.
        folder: Its working directory.
        variables: Its environment variables.

    Attributes:
        url: Where it serves, without a slash at the end.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, object]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [each.replace("{port}", str(self.port)) for each in command]
        self._folder, self._variables = folder, variables
        self._log = Path(tempfile.mkstemp(prefix="twelvefactor-test-", suffix=".log")[1])
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True, path: str = "/livez") -> Self:
        """Start the process; wait until `path` answers unless told not to."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._folder, env=environment(**self._variables), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        if wait:
            wait_until(lambda: self._answers(path), what=f"{' '.join(self._command)}\n{self.output()}")
        return self

    def _answers(self, path: str) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output()
        try:
            ask(f"{self.url}{path}", timeout=2)
        except (OSError, HTTPException):
            return False
        return True

    @property
    def pid(self) -> int:
        """The main process."""
        assert self.process is not None
        return self.process.pid

    def ask(self, path: str, **options: Any) -> Answer:
        """Return the answer to a request."""
        return ask(f"{self.url}{path}", **options)

    def output(self) -> str:
        """Return all that the process and its children have printed so far."""
        return self._log.read_text(errors="replace")

    def children(self) -> list[int]:
        """Return the process's descendants."""
        return process_tree(self.pid)[1:]

    def wait(self, seconds: float = 30) -> int:
        """Wait for the end and return the exit status, negative for a signal."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 30) -> float:
        """Send a signal to the main process and return the seconds until it was gone."""
        begin = time.monotonic()
        os.kill(self.pid, number)
        self.wait(seconds)
        return time.monotonic() - begin

    def close(self) -> None:
        """Kill what is left and delete the log."""
        if self.process is not None and self.process.poll() is None:
            signal_tree(self.pid, signal.SIGKILL)
            self.process.wait()
        self._log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start() if self.process is None else self

    def __exit__(self, *_error: object) -> None:
        self.close()


def gunicorn(target: str = "bootstrap:create_app()", *options: str, workers: int = 4) -> list[str]:
    """Return gunicorn's command line for `target`."""
    return [
        str(SCRIPTS / "gunicorn"),
        "-w",
        str(workers),
        "-b",
        "127.0.0.1:{port}",
        "--no-control-socket",
        *options,
        target,
    ]


def flask_run(target: str = "bootstrap", *options: str) -> list[str]:
    """Return the command line of Flask's own server for `target`."""
    return [str(SCRIPTS / "flask"), "--app", target, "run", "--port", "{port}", *options]


@contextlib.contextmanager
def serving(command: Sequence[str], folder: Path, **variables: object) -> Iterator[Running]:
    """Run a server for the length of a with block."""
    running = Running(command, folder=folder, variables=variables)
    try:
        yield running.start()
    finally:
        running.close()


def run(
    command: Sequence[str], folder: Path, *, seconds: float = 60, **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return its status and output."""
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=seconds, check=False
    )
