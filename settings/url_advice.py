"""What a text that begins with no scheme was meant to be, said as something to do."""

import re

from settings.near_misses import nearest

# None of these fixes repeats a part of the text, which may be a password.
_SLIPS = (
    (r"[A-Z][A-Z0-9_]*=.*", "remove the name and the = in front of it"),
    (r"['\"].*|.*['\"]", "remove the quotes, or close what begins with one"),
    (r"(?i)jdbc:.*", "remove jdbc:, and write user and password in front of the host"),
    (r"\$\w+", "set it to the value itself: only a shell puts it in the place of $NAME"),
    (r"(?i)(none|null|nil|false|no|off|disabled|undefined)", "leave it out, or empty, if it is not wanted"),
)
_FILE = r"(?i):memory:|[a-z]:[\\/].*|[.~]?/(?!/).*|.*\.(db|db3|sqlite|sqlite3|sock)"
_BEGINNING = r"(?P<name>[A-Za-z][A-Za-z0-9+.-]*)(:/?|//)(?!/)"
_PLACE = r"(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+:\d{1,5})([:/]\S*)?"


def advice(text: str, known: tuple[str, ...], example: str, file_example: str) -> str:
    """Return the fix of a URL that does not begin with a scheme and ://, the nearest known one if there is one.

    Args:
        text: What was written.
        known: Schemes that are allowed, the best first.
        example: A right URL.
        file_example: A right URL of a file or a socket; empty where there is none.
    """
    for pattern, fix in _SLIPS:
        if re.fullmatch(pattern, text, re.DOTALL):
            return fix
    begins = re.match(_BEGINNING, text)
    near = nearest(begins["name"].lower(), known, most=2) if begins and len(begins["name"]) > 1 else None
    if near:
        where = file_example if file_example.startswith(f"{near}:") else example
        return f"begin it with {near}://, as in {where}"
    if file_example and re.fullmatch(_FILE, text, re.DOTALL):
        return f"write {file_example}"
    if re.fullmatch(_PLACE, text):
        return f"put {known[0]}:// in front of it, as in {example}"
    return f"write {example}"
