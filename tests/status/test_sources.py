"""What the boot hands over."""

import pytest
from flask import Flask

from settings.status.model import StatusSettings
from settings.status.routes import install_status
from settings.status.sources import StatusSources
from settings.status.terminal import look, status_json, status_text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/status", "/status?live"])
def test_the_least_of_sources_is_enough(path: str) -> None:
    """With a name, an environment and no service at all every route answers."""
    app = Flask("bare")
    installed = install_status(app, StatusSettings(page=True), StatusSources("bare", "testing", dict))
    assert app.test_client().get(path).status_code == 200
    assert installed.snapshot_body()["services"] == []


def test_the_terminal_needs_no_more() -> None:
    """The terminal's text and JSON do with the same."""
    sources = StatusSources("bare", "testing", dict)
    assert "bare (testing): All well" in status_text(look(sources))
    assert '"verdict": "pass"' in status_json(look(sources))
