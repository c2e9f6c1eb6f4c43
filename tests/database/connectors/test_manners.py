"""The options of a connector make the same engine wherever they are handed to `create_engine`."""

from sqlalchemy import Engine, create_engine

from settings.database.connectors.manners import with_manners


def test_function_gets_the_engine_and_the_option_is_taken() -> None:
    """Also when the same options make several engines."""
    adorned: list[Engine] = []
    options = with_manners({"echo": False}, adorned.append)
    engines = [create_engine("sqlite://", **options) for _ in range(2)]
    assert adorned == engines
    assert "twelvefactor" in options
