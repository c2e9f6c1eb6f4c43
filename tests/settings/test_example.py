""".env.example: written from the models, and kept equal to them."""

from pathlib import Path

from settings.example import example_text

HOUSE = Path(__file__).parents[2]


def test_the_file_is_what_the_models_say() -> None:
    """Run `python -m settings example > .env.example` when this fails."""
    assert (HOUSE / ".env.example").read_text("utf-8") == example_text()
