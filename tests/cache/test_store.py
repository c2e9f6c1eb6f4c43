"""The error about one value."""

import pickle

from settings.cache.store import UnusableValue


def test_it_names_the_key_and_can_be_pickled() -> None:
    """Key and reason are in its text, and survive a pickle."""
    error = pickle.loads(pickle.dumps(UnusableValue("app:key", "it is a list")))
    assert (error.key, error.reason) == ("app:key", "it is a list")
    assert str(error) == "'app:key': it is a list"
