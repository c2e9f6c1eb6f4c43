"""What can go wrong with logging itself."""

from settings.logs.diagnosis import CODES, DESTINATION, explained


def test_an_explanation_is_one_line_with_cause_code_and_fix() -> None:
    """A person reads what happened and what to do."""
    text = explained(DESTINATION, target="/var/log/shop.log", error="No space left on device")
    assert text.startswith("log lines cannot be written to /var/log/shop.log (No space left on device)")
    assert "[log-destination-unusable]. Fix: free space" in text
    assert "\n" not in text


def test_the_codes_of_this_room() -> None:
    """Stable words that others search for."""
    assert {"log-destination-unusable", "log-level-unknown", "log-record-unreadable"} == CODES
