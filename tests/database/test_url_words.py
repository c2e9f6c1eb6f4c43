"""What is said of a URL that cannot be used, or that opens but is seldom meant: code, cause and fix, word by word."""

import ast
from pathlib import Path

import pytest

from settings.database import DatabaseURLParser

BLOCKS = [block.splitlines() for block in Path(__file__).with_name("url_words.txt").read_text().split("\n\n")[1:]]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0])
def test_it_is_said_in_these_words(block: list[str]) -> None:
    """The words are what a person has to go by: none of them changes unnoticed."""
    url, *expected = block
    config = DatabaseURLParser.parse_url(ast.literal_eval(url), folder=Path("/srv/app"))
    refusal = [] if config.is_valid else [f"{config.code}: {config.error_message}", f"fix: {config.fix}"]
    assert [*refusal, *(f"warning: {each}" for each in config.warnings)] == expected
