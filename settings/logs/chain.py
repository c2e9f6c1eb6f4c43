"""An exception and all that it came of."""


def chain_of(error: BaseException, most: int) -> list[BaseException]:
    """Return an exception and what it came of, the last one raised first; the members of groups after their group.

    Args:
        error: The exception.
        most: Exceptions returned at the most.
    """
    found: list[BaseException] = []
    known: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead and len(found) < most:
        current = ahead.pop(0)
        if current is None or id(current) in known:
            continue
        known.add(id(current))
        found.append(current)
        ahead += current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        ahead.append(_came_of(current))
    return found


def _came_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
