"""Logs that write to memory, and are closed after the test."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from settings.logs.model import LogsSettings
from settings.logs.sink import Logs, configure_logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]
Told = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines go."""
    return io.StringIO()


@pytest.fixture
def open_logs(stream: io.StringIO) -> Iterator[Open]:
    """Opens logs that write JSON to `stream`, and sum up only at the end."""
    opened: list[Logs] = []

    def make(*, secrets: frozenset[str] = frozenset(), environment: str = "testing", **settings: object) -> Logs:
        chosen = LogsSettings.model_validate({"format": "json", "summary_interval": 3600, **settings})
        opened.append(configure_logs(chosen, app_name="shop", environment=environment, stream=stream, secrets=secrets))
        return opened[-1]

    yield make
    for logs in reversed(opened):
        logs.close()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    """Returns the lines written so far."""
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def told(lines: Lines) -> Told:
    """Returns what was told of repeated errors: `held-back`, `summary` or `over`."""
    return lambda event: [line["repeated"] for line in lines() if line.get("repeated", {}).get("event") == event]
