"""What single steps choose, and what they say of it."""

import json
import sys
from pathlib import Path

import pytest

from tests.running import run

PROGRAM = """
from sqlalchemy import text
from bootstrap import bootstrap
with bootstrap() as services, services.engine.connect() as connection:
    connection.execute(text("SELECT 4711"))
"""


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_sql_that_is_echoed_is_a_line_of_the_log(tmp_path: Path, level: str) -> None:
    """DATABASE_ECHO puts each statement into the log once, in its form, whatever LOG_LEVEL is; nothing beside it."""
    done = run([sys.executable, "-c", PROGRAM], tmp_path, DATABASE_ECHO="true", LOG_FORMAT="json", LOG_LEVEL=level)
    events = [json.loads(each) for each in done.stdout.splitlines()]
    assert [each["logger"] for each in events if each["message"] == "SELECT 4711"] == ["sqlalchemy.engine.Engine"]
