"""The codes of all rooms: well-formed, and each of one room only."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import settings
from settings.problems import Diagnosis

ROOMS = Path(settings.__file__).parent


def _diagnoses_in(value: object) -> Iterator[Diagnosis]:
    """Yield what is a Diagnosis, or stands in a table of them."""
    several = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else (value,)
    yield from (each for each in several if isinstance(each, Diagnosis))


def _codes_of_module(path: Path) -> set[str]:
    module = import_module(".".join(["settings", *path.relative_to(ROOMS).with_suffix("").parts]))
    named = [value for name, value in vars(module).items() if not name.startswith("__")]
    return set(getattr(module, "CODES", ())) | {each.code for value in named for each in _diagnoses_in(value)}


def _codes_by_room() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted(ROOMS.glob("*/**/diagnosis*.py")):
        found.setdefault(path.relative_to(ROOMS).parts[0], set()).update(_codes_of_module(path))
    return found


def test_every_room_of_a_backing_service_has_codes() -> None:
    """A room without a table of its faults would be missed by the tests below."""
    assert {room for room, codes in _codes_by_room().items() if codes} >= {"cache", "database", "logs", "workers"}


def test_every_code_is_a_kebab_case_word() -> None:
    """Codes are stable words that can be searched for."""
    every = {code for codes in _codes_by_room().values() for code in codes}
    assert {code for code in every if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", code)} == set()


def test_no_two_rooms_share_a_code() -> None:
    """A code leads to one table."""
    rooms = sorted(_codes_by_room().items())
    shared = [(one, other, mine & theirs) for n, (one, mine) in enumerate(rooms) for other, theirs in rooms[n + 1 :]]
    assert [each for each in shared if each[2]] == []
