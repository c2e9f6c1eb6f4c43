"""What is logged or printed while no log of ours is open any more: masked as before, for the secrets are the same."""

import logging
from collections.abc import Callable


class MaskedFormatter(logging.Formatter):
    """Masks what another formatter makes.

    Args:
        beneath: The handler's own formatter, if it has one.
        masker: Takes the secrets out.
    """

    def __init__(self, beneath: logging.Formatter | None, masker: Callable[[str], str]) -> None:
        super().__init__()
        self.beneath, self._masker = beneath, masker

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, its traceback too, without secrets."""
        return self._masker((self.beneath or logging.Formatter()).format(record))


def mask_handler(handler: logging.Handler, masker: Callable[[str], str]) -> None:
    """Let a handler write nothing that is not masked."""
    unmask_handler(handler)
    handler.setFormatter(MaskedFormatter(handler.formatter, masker))


def unmask_handler(handler: logging.Handler) -> None:
    """Give a handler the formatter it had before `mask_handler`."""
    if isinstance(handler.formatter, MaskedFormatter):
        handler.setFormatter(handler.formatter.beneath)
