"""What can go wrong with logging itself, and what to do then."""

from settings.problems import Diagnosis

DESTINATION = Diagnosis(
    "log-destination-unusable",
    "log lines cannot be written to {target} ({error}); the service goes on without them, and counts them",
    "free space, read what is written, or mend the path and rights of LOG_FILE; the lines come again by themselves",
    transient=True,
)
UNREADABLE = Diagnosis(
    "log-record-unreadable",
    "a record could not be put into words ({error})",
    "mend the arguments or the __str__ of what is logged at this place",
)
UNKNOWN_LEVEL = Diagnosis(
    "log-level-unknown",
    "{error!r} is no level",
    "use one of TRACE, DEBUG, INFO, SUCCESS, WARNING, ERROR, CRITICAL",
)

CODES = frozenset(each.code for each in (DESTINATION, UNREADABLE, UNKNOWN_LEVEL))
"""Every code that this room gives."""


def explained(diagnosis: Diagnosis, **values: object) -> str:
    """Return what happened, the code and what to do, in one line."""
    return f"{diagnosis.cause.format(**values)} [{diagnosis.code}]. Fix: {diagnosis.fix}"
