"""An exception and all that it came of."""

from settings.logs.chain import chain_of


def _from(error: Exception, cause: Exception | None = None, context: Exception | None = None) -> Exception:
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, cause is not None
    return error


def test_causes_and_contexts_follow() -> None:
    """A cause goes before a context, and what `from None` hides is left out."""
    root = ValueError("root")
    chain = _from(KeyError("top"), cause=_from(OSError("middle"), context=root), context=TypeError("hidden"))
    assert [str(each) for each in chain_of(chain, 9)] == ["'top'", "middle", "root"]
    hidden = _from(ValueError("shown"), context=root)
    hidden.__suppress_context__ = True
    assert chain_of(hidden, 9) == [hidden]


def test_members_follow_their_group() -> None:
    """Also those of a group in a group."""
    one, other = ValueError("one"), ValueError("other")
    inner = ExceptionGroup("inner", [other])
    outer = ExceptionGroup("outer", [one, inner])
    assert chain_of(outer, 9) == [outer, one, inner, other]


def test_it_ends() -> None:
    """Exceptions that are each other's context, and very many of them, are no endless chain."""
    one, other = ValueError("one"), ValueError("other")
    _from(one, context=_from(other, context=one))
    assert chain_of(one, 9) == [one, other]
    assert len(chain_of(ExceptionGroup("many", [ValueError(str(n)) for n in range(99)]), 9)) == 9
