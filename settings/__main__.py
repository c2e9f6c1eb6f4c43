"""`python -m settings check | show | example`, and the console script `twelvefactor`."""

import gc
import os
import sys

# A process of a fifth of a second makes no garbage worth looking for, and needs no plugin of pydantic's, for which
# every installed distribution would be read: together a fifth of its cost. What is set already stays.
gc.disable()
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from settings.cli import main  # noqa: E402 - the lines above are for the sake of what this imports


def run() -> int:
    """Run the command line and return its exit status."""
    status = main()
    gc.freeze()  # so that the interpreter's last collection does not look at what ends with the process anyway
    return status


if __name__ == "__main__":
    sys.exit(run())
