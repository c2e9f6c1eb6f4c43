"""The README's generated parts: `python -m tests.readme` writes the table of variables anew."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo

from settings.example import default_text, shown
from settings.model import ROOMS
from settings.room import RoomSettings

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"<!-- variables -->\n.*?<!-- /variables -->", re.DOTALL)
ELSEWHERE = ("development", "production")
"""The environments whose defaults the table shows: the second one where it differs."""


def command(name: str) -> str:
    """Return the shell command below the line `<!-- name -->`."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)\n```", README.read_text(), re.DOTALL)
    assert found is not None, f"the README has no command {name}"
    return found[1]


def blocks(language: str) -> list[str]:
    """Return the README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def said(beginning: str) -> str:
    """Return the one piece of inline code of the README that begins so, on one line."""
    found = {
        " ".join(each.split())
        for each in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", README.read_text(), flags=re.DOTALL))
    }
    [code] = [each for each in found if each.startswith(beginning)]
    return code


def table() -> str:
    """Return the table of variables, one row a variable, written from the models."""
    rows = [row for model in ROOMS.values() for row in _rows(model)]
    return "\n".join(
        ["<!-- variables -->", "| variable | default | meaning |", "|---|---|---|", *rows, "<!-- /variables -->"]
    )


def _rows(model: type[RoomSettings]) -> Iterator[str]:
    for field, info in model.model_fields.items():
        yield f"| {model.variable(field)} | {_default(model, field, info)} | {_meaning(info)} |"


def _default(model: type[RoomSettings], field: str, info: FieldInfo) -> str:
    if field in model.derived:  # from another variable, as in .env.example
        return f"`{default_text(model, field)}`"
    usual = info.get_default(call_default_factory=True)
    first, live = (shown(model.defaults_in(each).get(field, usual)) or "none" for each in ELSEWHERE)
    return f"`{first}`" if first == live else f"`{first}`; `{live}` in production"


def _meaning(info: FieldInfo) -> str:
    choices = [str(each) for each in get_args(info.annotation) if isinstance(each, str)]
    words = str(info.description).replace("|", "\\|")
    return f"{words}; {', '.join(choices)}" if choices and len(choices) < 7 else words


def main() -> None:
    """Write the table into the README."""
    README.write_text(TABLE.sub(lambda _: table(), README.read_text()))


if __name__ == "__main__":
    main()
