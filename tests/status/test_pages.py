"""HTML by templates of our own."""

from pathlib import Path

import pytest
from flask import Flask
from jinja2 import UndefinedError

from settings.status.access import Caller
from settings.status.pages import Pages
from settings.status.view import Gatherer
from tests.status.conftest import MakeApp, World

MAY = Caller(may_see=True, may_change=True)


def test_templates_of_the_application_are_not_used(make_app: MakeApp, tmp_path: Path) -> None:
    """A template of the same name and filters of the application do not reach the page."""
    (tmp_path / "status.html").write_text("the application's own")
    app = Flask("own", template_folder=str(tmp_path))
    app.jinja_options = {"autoescape": False}
    assert "All well" in make_app(app=app).test_client().get("/status").text


def test_messages_are_escaped() -> None:
    """What stands in a message is text."""
    assert "<b>" not in Pages().message(base="/status", title="<b>", text="<b>")


def test_a_name_that_a_template_lacks_is_an_error(world: World) -> None:
    """A misspelt name in a template is found by the first test, not shown as nothing."""
    view = Gatherer(world.sources(), wait_seconds=5).gather()
    pages = Pages()
    assert "All well" in pages.status(view, MAY, base="/status")
    with pytest.raises(UndefinedError):
        pages._templates.from_string("{{ view.nothing }}").render(view=view)


def test_the_sign_in_page_says_what_is_wrong() -> None:
    """After a wrong token the page says so to those who see it and to those who hear it."""
    assert 'role="alert"' not in Pages().sign_in(base="/status")
    assert 'role="alert"' in Pages().sign_in(base="/status", wrong=True)
