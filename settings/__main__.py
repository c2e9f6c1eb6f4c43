"""`python -m settings check | show | example`."""

import sys

from settings.cli import main

sys.exit(main())
